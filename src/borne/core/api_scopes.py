"""What a program may do in somebody's name. It never may more than that person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

ApiScope = Literal["read", "restart", "meter"]
API_SCOPES: tuple[ApiScope, ...] = get_args(ApiScope)


def known_scopes(words: Iterable[str]) -> tuple[ApiScope, ...]:
    """Those of the words that are scopes, each once, in their order. Reading is part of all of them."""
    wanted = {"read", *words}
    return tuple(one for one in API_SCOPES if one in wanted)
