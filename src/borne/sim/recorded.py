"""The audit log of a world: its chain is whole after every crash, and each restart that a person asked for is in it once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from borne.engine.audit import Audit, committed
from borne.engine.clock import Clock
from borne.sim.crashing_server import KEY

if TYPE_CHECKING:
    from borne.sim.world import World

_ROWS = (
    "SELECT seq, at_ms, organisation_id, actor_id, action, object_kind, object_id, person_id, commitment, hash, details, salt"
    " FROM audit_log ORDER BY seq"
)


def all_recorded(world: World) -> Iterable[str]:
    """What is wrong with the audit log."""
    audit, previous, asked = Audit(KEY, Clock()), b"", Counter[int]()
    number = 0
    for number, row in enumerate(world.rows(_ROWS), 1):
        *plain, commitment, row_hash, details, salt = row
        if row[0] != number or audit.chained(previous, tuple(plain), commitment) != row_hash:
            yield f"the audit log is broken at row {number}"
            return
        if committed(salt, details) != commitment:
            yield f"the texts of row {number} of the audit log are others"
        previous = row_hash
        if row[4] == "restart.requested":
            asked[json.loads(details)["restart"]] += 1
    if number and world.rows("SELECT seq, hash FROM audit_head") != [(number, previous)]:
        yield "the head of the audit log is not its last row"
    alone = {row[0] for row in world.rows("SELECT id FROM restarts WHERE batch_id IS NULL")}
    if asked != Counter(dict.fromkeys(alone, 1)):
        yield f"restarts {sorted(alone ^ set(asked)) or 'several times'} and the audit log differ"
