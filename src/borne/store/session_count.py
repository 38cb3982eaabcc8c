"""How many sessions a filter finds: what a file of them will hold."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Select, func, select

from borne.core.scope import Scope
from borne.store.db import Reader
from borne.store.schema import sessions
from borne.store.session_list import Filter, Shape, asked_of, conditions


@lru_cache(maxsize=256)
def _count(shape: Shape) -> Select[Any]:
    return select(func.count()).select_from(sessions).where(*conditions(shape))


async def count(db: Reader, scope: Scope, wanted: Filter) -> int:
    """Those of the scope, running ones too. It reads an index from end to end: not for every look at a list."""
    shape, values = asked_of(scope, wanted)
    return int(await db.value(_count(msgspec.structs.replace(shape, runs=None)), values))
