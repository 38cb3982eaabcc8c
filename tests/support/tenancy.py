"""Whether a statement keeps to one organisation: reads SQLAlchemy constructs, knows which tables are tenants' tables.

Each occurrence of a tenant's table, in a FROM, a subquery, an arm of a UNION, an UPDATE, has to be *bound*: by
`organisation_id = :organisation_id`, or by an equality with a column of an occurrence that is bound, where that column tells
whose the row is (`events.charger_id = chargers.id`). The ON of a LEFT JOIN binds its right side only; what stands in an OR
binds what each of its arms binds; a subquery is bound from inside. A statement that has to cross tenants says so:
`borne.store.tenancy.across(statement, "why")`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Delete, Insert, Select, Table, TextClause, Update
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import (
    AsBoolean,
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ColumnClause,
    False_,
    Grouping,
    Label,
    TypeCoerce,
    UnaryExpression,
)
from sqlalchemy.sql.selectable import (
    AliasedReturnsRows,
    CompoundSelect,
    FromClause,
    FromGrouping,
    Join,
    Lateral,
    ScalarSelect,
    SelectStatementGrouping,
    TextualSelect,
)

from tests.support.tenancy_facts import NONE, Either, Fact, Given, Occurrence, Ref, Refs, Same, Some, Tie, solved
from tests.support.tenants import PERSONAL, TABLES

WHAT_TO_DO = (
    "Each needs `organisation_id == <the scope's organisation>` (in the ON of a LEFT JOIN, in each arm of a UNION, inside a"
    " subquery), or an equality of a column that says whose it is with one of a table that is bound. If this has to cross"
    ' organisations, say why where the statement is made: across(statement, "why"), from borne.store.tenancy.'
    " See docs/decisions/0015."
)


class UnscopedError(AssertionError):
    """A statement reaches rows of several organisations and does not say so."""


@dataclass(frozen=True)
class _Level:
    """Where in the statement we are: what the SELECTs around and the nearest one have in their FROM."""

    names: dict[FromClause, Occurrence]  # of this and the levels around
    around: frozenset[FromClause]
    nearest: frozenset[FromClause]
    exempt: bool
    filters: tuple[
        list[tuple[str, Refs]], ...
    ] = ()  # what the WHERE of each, the nearest one last, sets equal to parameters


_Arms = list[tuple[Any, _Level]]  # SELECTs, each with the level inside it


class _Reading:
    """One statement, read through."""

    def __init__(self) -> None:
        self.occurrences: list[Occurrence] = []
        self.facts: list[Fact] = []
        self.organisations: set[str] = set()
        self.faults: list[str] = []
        self._arms: dict[int, _Arms] = {}  # by the identity of a subquery or of a SELECT inside an expression

    # ---- statements

    def statement(self, statement: Any, level: _Level) -> _Arms:
        for cte in getattr(statement, "_independent_ctes", ()):
            self._source(cte, level)
        match statement:
            case SelectStatementGrouping() | ScalarSelect():
                return self.statement(statement.element, level)
            case CompoundSelect():
                return [arm for one in statement.selects for arm in self.statement(one, self._inside(statement, level))]
            case Select():
                return [(statement, self._select(statement, self._inside(statement, level)))]
            case Update() | Delete():
                self._change(statement, self._inside(statement, level))
            case Insert():
                self._inner([statement.select, *(statement._values or {}).values()], self._inside(statement, level))
            case TextClause() | TextualSelect() if not level.exempt:
                self.faults.append(
                    "it is written as text, which cannot be read: build it from the tables of store.schema"
                )
        return []

    def _inside(self, statement: Any, level: _Level) -> _Level:
        return replace(level, exempt=level.exempt or says_across(statement) is not None)

    def _select(self, select: Select[Any], level: _Level) -> _Level:
        state: Any = select._compile_state_factory(select, None)
        froms = state._get_display_froms(level.around, level.nearest)
        inside, here = self._froms(froms, level, level.around)
        self._where(select._where_criteria, here, inside)
        others = (*select._raw_columns, *select._having_criteria, *select._order_by_clauses, *select._group_by_clauses)
        self._inner(others, inside)
        return inside

    def _change(self, change: Update | Delete, level: _Level) -> None:
        """UPDATE … FROM and DELETE … USING name their other tables in the conditions alone."""
        values = {**(getattr(change, "_values", None) or {}), **dict(getattr(change, "_ordered_values", None) or ())}
        parts = (*change._where_criteria, *(value for value in values.values() if hasattr(value, "_from_objects")))
        froms = dict.fromkeys((change.table, *(source for part in parts for source in part._from_objects)))
        inside, here = self._froms(list(froms), level, frozenset())
        self._where(change._where_criteria, here, inside)
        self._inner((*values.values(), *change._returning), inside)
        table = _table_of(change.table)
        moves = table is not None and TABLES.kind(table, "organisation_id") is not None
        if moves and not inside.exempt and "organisation_id" in {getattr(one, "name", one) for one in values}:
            self.faults.append(f"it sets {table}.organisation_id: rows go to another organisation")

    # ---- FROM

    def _froms(self, froms: list[Any], level: _Level, around: frozenset[FromClause]) -> tuple[_Level, Some]:
        own = frozenset(one for source in froms for one in source._from_objects)
        inside = _Level(dict(level.names), around | own, own, level.exempt, (*level.filters, []))
        return inside, NONE.union(*(self._source(source, inside) for source in froms))

    def _source(self, source: Any, level: _Level) -> Some:
        """Note what stands in a FROM, in the level's names too; returns its occurrences."""
        table = _table_of(source)
        if table is not None:
            occurrence = level.names[source] = Occurrence(table, source.name, level.exempt)
            self.occurrences.append(occurrence)
            return frozenset((occurrence,))
        if isinstance(source, Join):
            left, right = self._source(source.left, level), self._source(source.right, level)
            may = NONE if source.full else right if source.isouter else left | right
            self._conditions([source.onclause], may, level)
            return left | right
        if isinstance(source, FromGrouping):
            return self._source(source.element, level)
        if isinstance(source, AliasedReturnsRows) and id(source) not in self._arms:  # a subquery, a CTE
            self._arms[id(source)] = []  # a recursive one meets itself
            beside = isinstance(source, Lateral)
            around = level.around if beside else level.around - level.nearest
            nearest = level.nearest if beside else frozenset[FromClause]()
            within = replace(level, around=around, nearest=nearest, filters=())
            self._arms[id(source)] = self.statement(source.element, within)
        elif isinstance(source, TextClause | TextualSelect):
            self.statement(source, level)
        return NONE

    # ---- conditions

    def _where(self, conditions: Iterable[Any], may: Some, level: _Level) -> None:
        level.filters[-1].extend(
            (right.key, self._refs(left, level))
            for one in conditions
            for left, right in _equal_sides(one)
            if isinstance(right, BindParameter) and not right.expanding and not right.unique
        )
        self._conditions(conditions, may, level)

    def _conditions(self, conditions: Iterable[Any], may: Some, level: _Level) -> None:
        for condition in conditions:
            self._inner([condition], level)
            self.facts += self._facts(condition, may, level)

    def _inner(self, parts: Iterable[Any], level: _Level) -> None:
        """Read the SELECTs inside expressions."""
        for part in parts:
            if isinstance(part, Select | CompoundSelect | TextClause | TextualSelect):
                self._arms[id(part)] = self.statement(part, level)
            elif isinstance(part, ColumnClause):
                if part.is_literal and part.name != "*" and not part.name.isdigit() and not level.exempt:
                    self.faults.append(f"it holds SQL as text, which cannot be read: {part.name}")
            elif hasattr(part, "get_children") and not isinstance(part, FromClause):
                self._inner(part.get_children(), level)
                self.facts += self._within_in(part, level)

    def _within_in(self, part: Any, level: _Level) -> list[Fact]:
        """Of the rows in `x IN (SELECT y …)` only those count whose y is x: that binds them, as in an EXISTS."""
        if not isinstance(part, BinaryExpression) or part.operator not in (operators.in_op, operators.not_in_op):
            return []
        found = [self._refs_in([arm], 0) for arm in self._arms_of(part.right) if arm[0]._limit_clause is None]
        return [Tie((self._refs(part.left, level), refs), frozenset(one.of for one in refs)) for refs in found]

    def _facts(self, condition: Any, may: Some, level: _Level) -> list[Fact]:
        condition = _bare(condition)
        if isinstance(condition, False_) or _is_never(condition):
            return [Given(may)]  # no row at all
        if isinstance(condition, BooleanClauseList):
            parts = [self._facts(part, may, level) for part in condition.clauses]
            if condition.operator is operators.or_:
                return [Either(tuple(map(tuple, parts)))]
            return [fact for part in parts for fact in part]
        if isinstance(condition, UnaryExpression) and condition.operator is operators.exists:
            inside = [(part, own) for one, own in self._arms_of(condition.element) for part in one._where_criteria]
            return [fact for part, own in inside for fact in self._facts(part, may, own)]
        if isinstance(condition, BinaryExpression) and condition.operator in (operators.eq, operators.in_op):
            return self._equality(_bare(condition.left), _bare(condition.right), may, level)
        return []

    def _equality(self, left: Any, right: Any, may: Some, level: _Level) -> list[Fact]:
        if isinstance(left, BindParameter):
            left, right = right, left
        refs = self._refs(left, level)
        if not isinstance(right, BindParameter):
            return [Tie((refs, self._refs(right, level)), may)]
        if len(refs) != 1 or right.expanding:
            return []
        if not TABLES.anchors(refs[0].of.table, refs[0].column):
            return [] if right.unique else [Same(refs, right.key, may, level.filters)]
        if refs[0].kind == "organisations" and not self._is_organisation(right):
            return []
        return [Given(may & {refs[0].of})]

    def _is_organisation(self, value: BindParameter[Any]) -> bool:
        """A parameter with a name says that it is an organisation's; all of one statement are the same one."""
        said = value.unique or "organisation" in value.key  # one without a name is `column == value`
        if said:
            self.organisations.add(repr(value.value) if value.unique else f":{value.key}")
        else:
            self.faults.append(f"the parameter :{value.key} stands for an organisation: let its name say so")
        return said

    def _arms_of(self, value: Any) -> _Arms:
        return self._arms.get(id(_bare(value)), [])

    def _refs(self, value: Any, level: _Level) -> Refs:
        """The columns of tables that a column of a FROM, of a subquery or of a scalar SELECT stands for."""
        value = _bare(value)
        if isinstance(value, Select | CompoundSelect):
            return self._refs_in(self._arms_of(value), 0)
        if not isinstance(value, ColumnClause) or value.table is None:
            return ()
        if _table_of(value.table) is not None:
            found = level.names.get(value.table)
            return () if found is None else (Ref(found, value.name),)
        if id(value.table) not in self._arms:
            return ()
        return self._refs_in(self._arms[id(value.table)], list(value.table.c.keys()).index(value.key))

    def _refs_in(self, arms: _Arms, number: int) -> Refs:
        found = [self._refs(select._all_selected_columns[number], level) for select, level in arms]
        return tuple(ref for refs in found for ref in refs) if all(found) else ()


def _bare(value: Any) -> Any:
    """Without brackets, labels, casts of the type alone, and a plus that keeps an index from being used."""
    while True:
        if isinstance(value, TypeCoerce):
            value = value.clause
        elif isinstance(value, Grouping | Label | ScalarSelect | SelectStatementGrouping) or _is_plus(value):
            value = value.element
        else:
            return value


def _is_never(condition: Any) -> bool:
    """What `and_(…, false())` becomes."""
    return (
        isinstance(condition, AsBoolean)
        and isinstance(condition.element, False_)
        and condition.operator is operators.is_true
    )


def _is_plus(value: Any) -> bool:
    return isinstance(value, UnaryExpression) and getattr(value.operator, "opstring", "") == "+"


def _equal_sides(condition: Any) -> Iterator[tuple[Any, Any]]:
    """The equalities that hold whenever the condition does, a parameter on the right."""
    condition = _bare(condition)
    if isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
        for part in condition.clauses:
            yield from _equal_sides(part)
    elif isinstance(condition, BinaryExpression) and condition.operator is operators.eq:
        left, right = _bare(condition.left), _bare(condition.right)
        yield (right, left) if isinstance(left, BindParameter) else (left, right)


def _table_of(source: Any) -> Table | None:
    while isinstance(source, AliasedReturnsRows):
        source = source.element
    return source if isinstance(source, Table) else None


def says_across(statement: Any) -> str | None:
    """Why a statement may cross tenants, in its own words."""
    options = statement.get_execution_options() if hasattr(statement, "get_execution_options") else {}
    why: str | None = options.get("across")
    return why


def touches_tenants(statement: Any) -> bool:
    """Whether a table of tenants occurs in it."""
    return any(one.table.name not in PERSONAL and not one.exempt for one in _read(statement).occurrences)


def _read(statement: Any) -> _Reading:
    reading = _Reading()
    reading.statement(statement, _Level({}, frozenset(), frozenset(), False))
    reading.occurrences = [one for one in reading.occurrences if one.table in TABLES]
    return reading


def faults(statement: Any) -> list[str]:
    """What keeps a statement from being one organisation's; empty when nothing does."""
    why = says_across(statement)
    if why is not None:
        return [] if len(str(why).split()) > 2 else ["it says across(…) without a reason: say why, in words"]
    reading = _read(statement)
    bound = solved(reading.facts)
    loose = [one for one in reading.occurrences if not one.exempt and one not in bound]
    found = [*reading.faults, *(f"{one} is not bound to one organisation" for one in loose)]
    if len(reading.organisations) > 1:
        found.append(f"it names several organisations: {', '.join(sorted(reading.organisations))}")
    return found


def check(statement: Any, where: str) -> None:
    """Raise UnscopedError, with what to do, when a statement is not one organisation's."""
    found = faults(statement)
    if found:
        raise UnscopedError(f"{where}: {'; '.join(found)}.\n{WHAT_TO_DO}\n\n{statement}")
