"""Every statement of the store keeps to one organisation, or says why not: `python -m tests.support.tenancy_lint`, and `Guard`.

The lint reads the statements at module level, and the source of what makes statements elsewhere. `Guard` reads those that
functions make, when the tests compile them for the first time. `--across` lists what crosses organisations, and why.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from sqlalchemy import Table
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.selectable import SelectBase

import borne
import borne.store
from borne.store.statements import Prepared, Statements
from tests.support import tenancy
from tests.support.tenants import PERSONAL, TABLES

SOURCE = Path(borne.__file__).parent
STORE = SOURCE / "store"
# What carries statements to a database, the migrations, and what makes and drops partitions: no queries of their own.
CARRIERS = {"db.py", "statements.py", "sqlite.py", "postgres.py", "migrate.py", "partitions.py"}
AS_TEXT = {"text", "TextClause", "table", "column", "DDL"}  # of SQLAlchemy: what these make cannot be read
DRIVERS = {"sqlite3", "asyncpg"}
SPEAK_TO_DRIVERS = ("store/lock.py", "sim/")  # the lock of one process; a simulation looks at its file from outside
SCOPES = {"scope", "organisation_id"}
MAKERS = {"select", "update", "delete"}
# Rows that are written back by the keys under which they were read, versions compared.
BY_KEY = {
    ("chargers", ("id", "version")),
    ("restarts", ("id", "version")),
    ("listed_prices", ("price_list_id", "slot_ms")),
    ("session_curves", ("session_id",)),
    ("session_slots", ("session_id", "slot_ms")),
}


# ---- statements at module level --------------------------------------------------------------------------------------


def store_modules() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(borne.store.__path__):
        if found.name != "migrations":
            yield importlib.import_module(f"borne.store.{found.name}")


def statements_in(module: ModuleType) -> dict[str, Any]:
    """The module's statements, also those in its tuples and tables, by name."""
    return {name: one for given, value in vars(module).items() for name, one in _within(given, value)}


def _within(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, SelectBase | UpdateBase | TextClause):
        yield name, value
    elif isinstance(value, tuple | list):
        for number, one in enumerate(value):
            yield from _within(f"{name}[{number}]", one)
    elif isinstance(value, dict) and not name.startswith("__"):
        for key, one in value.items():
            yield from _within(f"{name}[{key!r}]", one)


def module_faults(module: ModuleType) -> list[str]:
    """What is wrong with the module's statements; those are left aside which others are made of and nobody runs."""
    asked, mentioned = _uses(ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8")))
    found = []
    for name, statement in statements_in(module).items():
        given = name.partition("[")[0]
        if given in mentioned - asked:
            continue
        try:
            tenancy.check(statement, f"{module.__name__}.{name}")
        except tenancy.UnscopedError as error:
            found.append(str(error))
    return found


def _uses(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Names that async functions mention, and those that anything else does."""
    within = [one for one in ast.walk(tree) if isinstance(one, ast.AsyncFunctionDef)]
    asked = [one for function in within for one in ast.walk(function) if isinstance(one, ast.Name)]
    inside = set(map(id, asked))
    loads = [one for one in ast.walk(tree) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)]
    return {one.id for one in asked}, {one.id for one in loads if id(one) not in inside}


# ---- what makes statements elsewhere ---------------------------------------------------------------------------------


def source_faults(path: Path, module: ModuleType | None = None) -> list[str]:
    """What in a file of Borne would keep the checker from seeing a statement, or a scope from reaching one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    where = path.relative_to(SOURCE).as_posix() if path.is_relative_to(SOURCE) else path.name
    if _carries(path):
        return []
    found = [f"{where}:{line}: {what}" for line, what in _hidden(tree, where.startswith(SPEAK_TO_DRIVERS))]
    if module is not None:
        found += [f"{where}:{line}: {what}" for line, what in _without_scope(tree, module)]
    return found


def _carries(path: Path) -> bool:
    """Whether a file is of what carries statements to the database, or says what tables there are."""
    return path.parent == STORE / "schema" or (path.parent == STORE and path.name in CARRIERS)


def _hidden(tree: ast.AST, speaks_to_drivers: bool) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = {one.name for one in node.names}
            if (node.module or "").partition(".")[0] == "sqlalchemy" and names & AS_TEXT:
                yield node.lineno, f"SQL made by {', '.join(sorted(names & AS_TEXT))} cannot be read: use store.schema"
        if isinstance(node, ast.Import | ast.ImportFrom) and not speaks_to_drivers:
            modules = {node.module} if isinstance(node, ast.ImportFrom) else {one.name for one in node.names}
            if {(one or "").partition(".")[0] for one in modules} & DRIVERS:
                yield node.lineno, "only store.sqlite and store.postgres speak to a driver"


def _without_scope(tree: ast.Module, module: ModuleType) -> Iterator[tuple[int, str]]:
    """Public functions that ask for rows of tenants and neither take whose they are nor say that they cross."""
    bound = {
        name
        for name, one in statements_in(module).items()
        if tenancy.says_across(one) is None and tenancy.touches_tenants(one) and not tenancy.faults(one)
    }
    for function in tree.body:
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or function.name.startswith("_"):
            continue
        used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        makes = bool(used & MAKERS) and "across" not in used and any(_is_tenants(module, name) for name in used)
        if (used & bound or makes) and not _takes_scope(function, module):
            asks = ", ".join(sorted(used & bound)) or "a statement of its own"
            yield (
                function.lineno,
                f"{function.name} asks for rows of tenants ({asks}): it must take scope or organisation_id",
            )


def _is_tenants(module: ModuleType, name: str) -> bool:
    table = getattr(getattr(module, name, None), "table", getattr(module, name, None))
    return isinstance(table, Table) and table in TABLES and table.name not in PERSONAL


def _takes_scope(function: ast.FunctionDef | ast.AsyncFunctionDef, module: ModuleType) -> bool:
    """A parameter is the scope, or something with an organisation: by its class, or because that is read from it."""
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    names = {one.arg for one in given}
    read = {
        _owner(node)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute) and node.attr == "organisation_id"
    }
    classes = {
        node.id for one in given if one.annotation for node in ast.walk(one.annotation) if isinstance(node, ast.Name)
    }
    has_it = any("organisation_id" in getattr(getattr(module, name, None), "__annotations__", ()) for name in classes)
    return bool(names & (SCOPES | read)) or has_it


def _owner(node: ast.Attribute) -> str:
    return node.value.id if isinstance(node.value, ast.Name) else ""


# ---- statements that functions make, when they are compiled ------------------------------------------------------------


class Guard:
    """Reads each statement that Borne's own code lets a database compile; those of the tests themselves are left alone."""

    def __init__(self) -> None:
        self.found: list[str] = []  # kept, for who swallows exceptions
        self._seen: set[Any] = set()

    def taken(self) -> list[str]:
        """What was found since the last time."""
        found, self.found = self.found, []
        return found

    def install(self) -> None:
        compiled, texts, upsert = Prepared.__init__, Statements.text, Statements.upsert

        def prepared(one: Prepared, compiled_statement: Any) -> None:
            compiled(one, compiled_statement)
            statement = getattr(compiled_statement, "statement", None)
            self._read((one.sql, tenancy.says_across(statement)), lambda where: tenancy.check(statement, where))

        def text(one: Statements, make: Callable[..., str], table: Table, *columns: tuple[str, ...]) -> str:
            if make.__name__ == "_update":
                self._read((table.name, columns[0]), lambda where: check_keys(table, columns[0], where))
            return texts(one, make, table, *columns)

        def written(one: Statements, insert: Any, table: Table, keys: Any, columns: Any, keep: bool) -> str:
            if columns and not keep:
                self._read((table.name, keys), lambda where: check_keys(table, keys, where))
            return upsert(one, insert, table, keys, columns, keep)

        Prepared.__init__, Statements.text, Statements.upsert = prepared, text, written  # type: ignore[method-assign]

    def _read(self, key: Any, check: Callable[[str], None]) -> None:
        if key in self._seen:
            return
        asker = _asker(sys._getframe(2))
        if asker is None:
            return
        try:
            check(asker)
        except tenancy.UnscopedError as error:
            self.found.append(str(error))
            raise
        self._seen.add(key)


@cache
def installed() -> Guard:
    """The guard of this process, at work from the first call on."""
    guard = Guard()
    guard.install()
    return guard


def check_keys(table: Table, keys: tuple[str, ...], where: str) -> None:
    """Rows of tenants are changed by keys among which is the organisation."""
    theirs = table not in TABLES or any(TABLES.anchors(table, name) for name in keys)
    if not theirs and (table.name, keys) not in BY_KEY:
        raise tenancy.UnscopedError(
            f"{where}: rows of {table.name} are changed by {', '.join(keys)}: put organisation_id among the keys"
        )


def _asker(frame: FrameType | None) -> str | None:
    """The function of Borne that asked for a statement, None when a test did."""
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(SOURCE) and not _carries(path):
            return f"{path.relative_to(SOURCE.parent)}:{frame.f_lineno} {frame.f_code.co_name}"
        if not path.is_relative_to(SOURCE) and path != Path(__file__):
            return None
        frame = frame.f_back
    return None


def crossings() -> Iterator[str]:
    """Each statement at module level that says `across`, and why."""
    for module in store_modules():
        for name, statement in statements_in(module).items():
            if why := tenancy.says_across(statement):
                yield f"{module.__name__}.{name}: {why}"


def main(arguments: list[str]) -> int:
    if "--across" in arguments:
        print("\n".join(crossings()))
        return 0
    found = [fault for module in store_modules() for fault in module_faults(module)]
    modules = {Path(module.__file__ or ""): module for module in store_modules()}
    for path in sorted(SOURCE.rglob("*.py")):
        if "migrations" not in path.parts:
            found += source_faults(path, modules.get(path))
    print("\n\n".join(found), file=sys.stderr, end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
