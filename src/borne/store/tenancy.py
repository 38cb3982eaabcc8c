"""Statements that cross tenants say so, and why.

Every other statement binds each tenant's table in it to one organisation. `make lint` reads those at module level; the tests
read every statement that the store makes while they run (docs/decisions/0015).
"""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Executable, UnaryExpression
from sqlalchemy.sql.operators import custom_op

Statement = TypeVar("Statement", bound=Executable)


def across(statement: Statement, why: str) -> Statement:
    """Say why a statement, and what is derived from it, may touch rows of several organisations."""
    return statement.execution_options(across=why)


def beside(column: ColumnElement[int]) -> ColumnElement[int]:
    """The column as a check beside the ids that find the rows: `+column`, which no database looks up in an index.

    SQLite would else rather walk an organisation than look up fifty ids.
    """
    plus: Any = custom_op("+")
    return UnaryExpression(column, operator=plus)
