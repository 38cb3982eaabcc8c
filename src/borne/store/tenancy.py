"""Statements that cross tenants say so, and why.

Every other statement binds each tenant's table in it to one organisation. `make lint` reads those at module level; the tests
read every statement that the store makes while they run (docs/decisions/0015).
"""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import Executable

Statement = TypeVar("Statement", bound=Executable)


def across(statement: Statement, why: str) -> Statement:
    """Say why a statement, and what is derived from it, may touch rows of several organisations."""
    return statement.execution_options(across=why)
