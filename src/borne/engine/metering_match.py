"""Which session a reading belongs to, and how the readings of an instant become one sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from borne.core.metering import Sample
from borne.store import metering as store
from borne.store.db import Database, Row

ENERGY, INTERVAL, POWER = "energy_import_wh", "energy_import_interval_wh", "power_import_w"
QUANTITIES = frozenset((ENERGY, INTERVAL, POWER))
CHARGERS_MOST = 200  # are asked for at once

ReadingRow = tuple[Any, ...]  # as engine.writes.READING_COLUMNS


async def matched(db: Database, rows: Sequence[ReadingRow]) -> list[tuple[int, Sample]]:
    """(session, sample) of these readings, which hold whole messages; what belongs to no session is left out."""
    useful = [row for row in rows if row[6] in QUANTITIES and row[7] is not None and row[11] is None]
    found: list[tuple[int, Sample]] = []
    charger_ids = sorted({row[1] for row in useful})
    for start in range(0, len(charger_ids), CHARGERS_MOST):
        some = charger_ids[start : start + CHARGERS_MOST]
        chosen = set(some)
        mine = useful if len(some) == len(charger_ids) else [row for row in useful if row[1] in chosen]
        transactions = sorted({row[5] for row in mine if row[5] is not None})
        from_ms = min(row[0] for row in mine)
        known = _Known(await store.named(db, some, transactions or [""], from_ms))
        found += _samples(mine, known)
    return found


class _Known:
    """Sessions that readings may belong to. The answer is the same whenever it is asked: readings are read again."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._by_transaction: dict[tuple[int, str], Row] = {}
        self._by_connector: dict[tuple[int, int, int], list[Row]] = {}
        for row in rows:  # oldest first: the newest of a name is meant
            self._by_transaction[row.charger_id, row.transaction] = row
            for connector in {row.connector, 0}:  # in 2.x meter values name the EVSE alone
                self._by_connector.setdefault((row.charger_id, row.evse, connector), []).append(row)

    def of(self, charger_id: int, evse: int, connector: int, transaction: str | None, received_ms: int) -> int | None:
        """The session of a reading: by its transaction, else the one that was open on its connector when it came."""
        if transaction is not None:
            found = self._by_transaction.get((charger_id, transaction))
            if found is not None and not (found.start_missing and found.started_ms > received_ms):
                return int(found.id)
        for row in reversed(self._by_connector.get((charger_id, evse, connector), ())):
            if row.started_ms <= received_ms and (row.ended_ms is None or received_ms <= row.ended_ms):
                return int(row.id)
        return None


def _samples(rows: Iterable[ReadingRow], known: _Known) -> Iterator[tuple[int, Sample]]:
    """Readings of one message and instant become one sample: a total if the charger gives one, else the sum of its phases."""
    found: dict[tuple[int, int, int | None], dict[str, tuple[int | None, int]]] = {}
    for row in rows:
        session_id = known.of(row[1], row[3], row[4], row[5], row[0])
        if session_id is None:
            continue
        values = found.setdefault((session_id, row[0], row[8]), {})
        total, phases = values.get(row[6], (None, 0))
        values[row[6]] = (row[7], phases) if row[9] is None else (total, phases + row[7])
    for (session_id, received_ms, device_ms), values in found.items():
        said = {quantity: phases if total is None else total for quantity, (total, phases) in values.items()}
        yield session_id, Sample(received_ms, device_ms, said.get(ENERGY), said.get(INTERVAL), said.get(POWER))
