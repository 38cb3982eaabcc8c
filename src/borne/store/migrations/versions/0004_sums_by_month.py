"""Solar energy in slots and sums, and sums by month, so that a year is read quickly: made from the days that are there.

A frozen copy of what `borne.store.schema` gained.
"""

from __future__ import annotations

from datetime import date

from alembic import op
from sqlalchemy import BigInteger, Column, Connection, Index, MetaData, PrimaryKeyConstraint, Table, TextClause, text

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

metadata = MetaData(
    naming_convention={"pk": "%(table_name)s_pk", "ix": "%(table_name)s_%(column_0_N_name)s"},
)
EPOCH = date(1970, 1, 1).toordinal()
NO_MONTH = {"organisation_id": 0, "month": 0, "from_day": 0, "until_day": 0}
SUMS = ("energy_wh", "charging_ms", "plugged_ms", "cost_nanos", "unpriced_wh", "sessions", "unknown")


def _int(name: str, *, null: bool = False, default: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=null, server_default=default)


def _sums() -> tuple[Column[int], ...]:
    return tuple(_int(name, default="0") for name in (*SUMS, "solar_wh"))


location_days = Table(
    "location_days",
    metadata,
    _int("location_id"),
    _int("day"),
    _int("organisation_id"),
    *_sums(),
    _int("peak_wh", default="0"),
    PrimaryKeyConstraint("organisation_id", "day", "location_id"),
    Index(None, "organisation_id", "location_id", "day"),
    sqlite_with_rowid=False,
)

charger_days = Table(
    "charger_days",
    metadata,
    _int("charger_id"),
    _int("location_id"),
    _int("day"),
    _int("organisation_id"),
    *_sums(),
    PrimaryKeyConstraint("organisation_id", "day", "charger_id", "location_id"),
    Index(None, "organisation_id", "charger_id", "day"),
    sqlite_with_rowid=False,
)

person_days = Table(
    "person_days",
    metadata,
    _int("person_id"),
    _int("location_id"),
    _int("day"),
    _int("organisation_id"),
    *_sums(),
    PrimaryKeyConstraint("organisation_id", "day", "person_id", "location_id"),
    Index(None, "organisation_id", "person_id", "day"),
    sqlite_with_rowid=False,
)

location_months = Table(
    "location_months",
    metadata,
    _int("location_id"),
    _int("month"),
    _int("organisation_id"),
    *_sums(),
    _int("peak_wh", default="0"),
    PrimaryKeyConstraint("organisation_id", "month", "location_id"),
    Index(None, "organisation_id", "location_id", "month"),
    sqlite_with_rowid=False,
)

charger_months = Table(
    "charger_months",
    metadata,
    _int("charger_id"),
    _int("location_id"),
    _int("month"),
    _int("organisation_id"),
    *_sums(),
    PrimaryKeyConstraint("organisation_id", "charger_id", "location_id", "month"),
    sqlite_with_rowid=False,
)

person_months = Table(
    "person_months",
    metadata,
    _int("person_id"),
    _int("location_id"),
    _int("month"),
    _int("organisation_id"),
    *_sums(),
    PrimaryKeyConstraint("organisation_id", "person_id", "location_id", "month"),
    sqlite_with_rowid=False,
)

organisation_hours = Table(
    "organisation_hours",
    metadata,
    _int("month"),
    _int("hour"),
    _int("organisation_id"),
    *_sums(),
    PrimaryKeyConstraint("organisation_id", "month", "hour"),
    sqlite_with_rowid=False,
)

DAYS = {
    location_days: (location_months, ("location_id",), ("peak_wh",)),
    charger_days: (charger_months, ("charger_id", "location_id"), ()),
    person_days: (person_months, ("person_id", "location_id"), ()),
}


def upgrade() -> None:
    """Make the new columns; put days of an organisation together; add them up to months."""
    connection = op.get_bind()
    for name in ("session_slots", "location_slots", "location_hours"):
        op.add_column(name, _int("solar_wh", default="0"))
    op.add_column("session_slots", _int("feed_in_micros", null=True))
    op.add_column("session_slots", _int("provisional", default="0"))
    for days in DAYS:
        _lay_by_day(connection, days)
    for table in (location_months, charger_months, person_months, organisation_hours):
        table.create(connection)
    for days, (months, keys, peaks) in DAYS.items():
        connection.execute(_adding_up(days, months, keys, peaks), _months(connection, days) or [NO_MONTH])
    hours = ", ".join(f"sum({name})" for name in SUMS)
    op.execute(
        f"INSERT INTO organisation_hours (organisation_id, month, hour, {', '.join(SUMS)})"
        f" SELECT organisation_id, month, hour, {hours} FROM location_hours GROUP BY organisation_id, month, hour"
    )


def _lay_by_day(connection: Connection, table: Table) -> None:
    """Make a table anew whose primary key begins with the day: SQLite keeps rows in its order, PostgreSQL as they come."""
    name = table.name
    op.drop_index(f"{name}_organisation_id_day", name)
    if connection.dialect.name == "postgresql":
        op.drop_constraint(f"{name}_pk", name)
    op.rename_table(name, f"{name}_before")
    table.create(connection)
    columns = ", ".join(column.name for column in table.c if column.name != "solar_wh")
    op.execute(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {name}_before ORDER BY organisation_id, day")
    op.drop_table(f"{name}_before")


def _months(connection: Connection, table: Table) -> list[dict[str, int]]:
    """Each month in which an organisation has days, with its first day and that of the next; counted from 1970."""
    ends = f"SELECT organisation_id, min(day), max(day) FROM {table.name} GROUP BY organisation_id"
    return [
        {"organisation_id": owner, "month": month, "from_day": _first_day(month), "until_day": _first_day(month + 1)}
        for owner, first, last in connection.execute(text(ends))
        for month in range(_month_of(first), _month_of(last) + 1)
    ]


def _month_of(day: int) -> int:
    found = date.fromordinal(EPOCH + day)
    return (found.year - 1970) * 12 + found.month - 1


def _first_day(month: int) -> int:
    return date(1970 + month // 12, month % 12 + 1, 1).toordinal() - EPOCH


def _adding_up(days: Table, months: Table, keys: tuple[str, ...], peaks: tuple[str, ...]) -> TextClause:
    by = ", ".join(keys)
    numbers = ", ".join([*(f"sum({name})" for name in SUMS), *(f"max({name})" for name in peaks)])
    return text(
        f"INSERT INTO {months.name} (organisation_id, month, {by}, {', '.join((*SUMS, *peaks))})"
        f" SELECT organisation_id, CAST(:month AS BIGINT), {by}, {numbers} FROM {days.name}"
        f" WHERE organisation_id = :organisation_id AND day >= :from_day AND day < :until_day GROUP BY organisation_id, {by}"
    )
