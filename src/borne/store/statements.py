"""Statements compiled once: from SQLAlchemy constructs to the SQL text and parameter order of a driver."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Executable, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.sql.compiler import Compiled, SQLCompiler

from borne.store.db import BadValue, Params, Row

PADDED_MOST = 8192  # twice that is near what the databases take

MakeRow = Callable[[Iterable[Any]], Row]


class Prepared:
    """A compiled statement."""

    __slots__ = ("_defaults", "_expands", "_lists", "_make_row", "_names", "sql")

    def __init__(self, compiled: Compiled) -> None:
        self.sql = str(compiled)
        self._names: tuple[str, ...] = ()
        self._expands: SQLCompiler | None = None
        self._lists: tuple[str, ...] = ()
        self._defaults: dict[str, Any] = {}
        self._make_row: MakeRow | None = None
        if isinstance(compiled, SQLCompiler):  # else it makes a table, and has no parameters
            self._names = tuple(compiled.positiontup or ())
            self._defaults = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}
            if compiled.post_compile_params:
                self._expands = compiled
                self._lists = tuple(compiled.bind_names[bind] for bind in compiled.post_compile_params)

    @property
    def brings_list(self) -> bool:
        """Whether the values of an IN list are part of the statement."""
        return any(name in self._defaults for name in self._lists)

    def filled(self, params: Params) -> tuple[str, Sequence[Any]]:
        """Return the SQL text and the values in the driver's order; an IN list is written out in the text."""
        if self._expands is None:
            return self.sql, self.arguments(params)
        values = {**self._defaults, **(params or {})}
        try:
            for name in self._lists:
                values[name] = _padded(values[name])
            state = self._expands.construct_expanded_state(values, escape_names=False)
        except (InvalidRequestError, KeyError) as error:
            raise BadValue(f"the statement needs other values: {error}") from None
        return state.statement, state.positional_parameters

    def arguments(self, params: Params) -> list[Any]:
        """Return the values in the driver's order. Raises BadValue when one is missing."""
        values: Mapping[str, Any] = {**self._defaults, **params} if params else self._defaults
        try:
            return [values[name] for name in self._names]
        except KeyError as missing:
            raise BadValue(f"the statement needs a value for {missing}") from None

    def rows(self, columns: Iterable[str], found: Iterable[Iterable[Any]]) -> list[Row]:
        """Return what a driver found as rows; `columns` are looked at the first time only."""
        if self._make_row is None:
            self._make_row = row_maker(tuple(columns))
        return list(map(self._make_row, found))


class Statements:
    """The compiled statements of one database."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: WeakKeyDictionary[Executable, Prepared] = WeakKeyDictionary()
        self._texts: dict[tuple[Any, ...], str] = {}

    def prepare(self, statement: Executable) -> Prepared:
        """Compile a statement, or find it compiled."""
        prepared = self._known.get(statement)
        if prepared is None:
            compiled = cast(Compiled, cast(Any, statement).compile(dialect=self._dialect))
            prepared = Prepared(compiled)
            # What still has a list to write out holds on to its statement, which would then never be forgotten. That
            # is right for those kept at module level; one that brings its list along is used once.
            if not prepared.brings_list:
                self._known[statement] = prepared
        return prepared

    def text(self, make: Callable[..., str], table: Table, *columns: tuple[str, ...]) -> str:
        """Return `make(table, *columns)`, made once."""
        key = (make, table.name, *columns)
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = make(table, *columns)
        return text

    def upsert(
        self, insert: Callable[..., str], table: Table, keys: tuple[str, ...], columns: tuple[str, ...], keep: bool
    ) -> str:
        """Return `insert`'s text for keys and columns, and what happens where the keys exist: the same on both databases."""
        text = self.text(insert, table, (*keys, *columns))
        changes = ", ".join(f'"{name}"=excluded."{name}"' for name in columns)
        return f"{text} ON CONFLICT ({listed(keys)}) DO {'NOTHING' if keep else f'UPDATE SET {changes}'}"

    def add(
        self,
        insert: Callable[..., str],
        table: Table,
        keys: tuple[str, ...],
        added: tuple[str, ...],
    ) -> str:
        """Return `insert`'s text; where the keys exist, the numbers of `added` are added to those that are there."""
        text = self.text(insert, table, (*keys, *added))
        changes = ", ".join(f'"{name}"="{table.name}"."{name}"+excluded."{name}"' for name in added)
        return f"{text} ON CONFLICT ({listed(keys)}) DO UPDATE SET {changes}"


def listed(columns: Iterable[str]) -> str:
    """Column names as a list of SQL."""
    return ", ".join(f'"{name}"' for name in columns)


def _padded(values: Iterable[Any]) -> list[Any]:
    """Repeat the last value up to a power of two, so that a driver meets some dozen texts of a statement, not thousands."""
    found = list(values)
    if 2 < len(found) <= PADDED_MOST:
        found += found[-1:] * ((1 << (len(found) - 1).bit_length()) - len(found))
    return found


def row_maker(columns: tuple[str, ...]) -> MakeRow:
    """Return the function that makes rows with these columns out of tuples."""
    fields = namedtuple("Row", columns, rename=True)  # type: ignore[misc]
    kind = type("Row", (fields, Row), {"__slots__": ()})
    return cast(MakeRow, cast(Any, kind)._make)
