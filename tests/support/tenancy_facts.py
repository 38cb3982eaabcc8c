"""What the conditions of a statement bind: facts about the occurrences of tables in it, and what follows from all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Table

from tests.support.tenants import PERSONAL, TABLES


@dataclass(eq=False, frozen=True)
class Occurrence:
    """A table where it stands in a statement; `exempt`: within what says `across`."""

    table: Table
    name: str
    exempt: bool

    def __str__(self) -> str:
        return self.table.name if self.name == self.table.name else f"{self.table.name} as {self.name}"


class Ref(NamedTuple):
    """A column of an occurrence."""

    of: Occurrence
    column: str

    @property
    def kind(self) -> str | None:
        """The table that it names a row of."""
        return TABLES.kind(self.of.table, self.column)

    @property
    def binding_kind(self) -> str | None:
        """The same, where it may bind others: a person's own rows name things of several organisations."""
        return None if self.of.table.name in PERSONAL and self.kind != "people" else self.kind


Refs = tuple[Ref, ...]  # the columns of a UNION's arms count together
Some = frozenset[Occurrence]
NONE: Some = frozenset()


@dataclass(frozen=True)
class Given:
    """These are bound whatever the others are."""

    occurrences: Some

    def binds(self, bound: Some) -> Some:
        return self.occurrences


@dataclass(frozen=True)
class Tie:
    """Two columns are equal; it may bind what is in `may`."""

    sides: tuple[Refs, Refs]
    may: Some

    def binds(self, bound: Some) -> Some:
        return self._one_way(*self.sides, bound) | self._one_way(*self.sides[::-1], bound)

    def _one_way(self, known: Refs, other: Refs, bound: Some) -> Some:
        if len(other) != 1 or other[0].of not in self.may or not known or not all(one.of in bound for one in known):
            return NONE
        same = {one.binding_kind for one in known} == {other[0].kind}
        return frozenset((other[0].of,)) if same and TABLES.tells(other[0].of.table, other[0].column) else NONE


@dataclass(frozen=True)
class Same:
    """A column equals a parameter with a name, as columns do by which the SELECT, or one around it, filters."""

    refs: Refs
    name: str
    may: Some
    filters: tuple[list[tuple[str, Refs]], ...]

    def binds(self, bound: Some) -> Some:
        equal = [refs for filters in self.filters for name, refs in filters if name == self.name]
        return NONE.union(*(Tie((self.refs, refs), self.may).binds(bound) for refs in equal))


@dataclass(frozen=True)
class Either:
    """What each arm of an OR binds."""

    arms: tuple[tuple[Fact, ...], ...]

    def binds(self, bound: Some) -> Some:
        return frozenset.intersection(*(solved(arm, bound) for arm in self.arms))


Fact = Given | Tie | Same | Either


def solved(facts: Iterable[Fact], bound: Some = NONE) -> Some:
    facts = tuple(facts)
    while True:
        more = bound.union(*(fact.binds(bound) for fact in facts))
        if more == bound:
            return bound
        bound = more
