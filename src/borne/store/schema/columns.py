"""The words that tables are made of: one set of types for SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Text,
)

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_uq",
    }
)

# SQLite makes only an INTEGER PRIMARY KEY its own rowid; PostgreSQL wants 64 bits.
Id = BigInteger().with_variant(Integer, "sqlite")


def int_(name: str, *, null: bool = False, default: str | None = None) -> Column[int]:
    return Column(name, BigInteger, nullable=null, server_default=default)


def text_(name: str, *, null: bool = False, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=null, server_default=default)


def blob_(name: str, *, null: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=null)


def id_() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


def sums() -> tuple[Column[int], ...]:
    """What is added up of slots; costs in billionths of the location's currency."""
    names = ("energy_wh", "charging_ms", "plugged_ms", "cost_nanos", "unpriced_wh", "sessions", "unknown", "solar_wh")
    return tuple(int_(name, default="0") for name in names)
