"""Who acts: what an audit row and a line of history say of the one who did it."""

from __future__ import annotations

import msgspec


class Actor(msgspec.Struct, frozen=True):
    """`person_id` None: the program itself or its owner's shell. `address`: where the request came from, "" for neither."""

    person_id: int | None
    name: str
    address: str = ""


BORNE = Actor(None, "Borne")
SHELL = Actor(None, "borne admin")
ERASED = "erased person"  # what stands where the name of somebody stood who was erased
