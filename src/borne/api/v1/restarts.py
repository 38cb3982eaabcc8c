"""Restarting a charger, and following how it went. The rules, and what is recorded, are those of the portal."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, HeaderParameter, JSONBody

from borne.api.problems import AnyRequest, ProblemError, responses
from borne.api.sign_in import SignedIn, address_in, services_of
from borne.api.v1.chargers import row_of
from borne.api.v1.me import Named
from borne.api.v1.words import instant
from borne.core.charger import ChargerState
from borne.core.restart_state import Phase, Verdict
from borne.core.scope import Scope
from borne.engine.restarts import NewRestart, When
from borne.store import restart_list
from borne.store.db import Row

KEY_BOUND = 80
WHY_BOUND = 500
FARTHEST_MS = 30 * 86_400_000
REASONS = {  # a sentence for each core.access.Reason
    "role": "Only the super-admin, or an admin of its location, restarts this charger.",
    "plan": "The organisation's plan does not include remote restarts.",
    "model": "This model cannot be restarted remotely.",
    "disabled": "It is disabled.",
    "never_connected": "It has never connected.",
    "offline": "It is offline.",
    "updating": "It is updating its firmware.",
    "restarting": "It is restarting already.",
}
FORBIDDEN = ("role", "plan")  # what does not change by waiting
_state = msgspec.json.Decoder(ChargerState).decode


class RestartIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`when`: now, free (once no session runs), or an instant (RFC 3339) within 30 days. `kind`: null as the model likes it.
    `evse`: only this outlet, where the charger can. `why`: kept with the restart."""

    when: str = "now"
    kind: Literal["soft", "hard"] | None = None
    evse: int | None = None
    why: Annotated[str, msgspec.Meta(max_length=WHY_BOUND)] = ""


class RestartOut(msgspec.Struct, frozen=True):
    """`phase`: queued, waiting, requested, sent, accepted, scheduled, left, back, ended. `verdict`: null until it is known, then
    succeeded, failed, unknown or not_sent; `reason`: why, in a word."""

    id: int
    charger: Named
    kind: Literal["soft", "hard"]
    evse: int | None
    phase: Phase
    verdict: Verdict | None
    reason: str | None
    requested_by: str
    why: str
    requested_at: str | None
    not_before: str | None
    sent_at: str | None
    ended_at: str | None
    duration_ms: int | None


@post(
    "/chargers/{charger_id:int}/restart",
    scope="restart",
    operation_id="restart",
    summary="Restart a charger",
    status_code=202,
    responses=responses(404, 409, 422),
)
async def restart(
    request: AnyRequest,
    caller: SignedIn,
    charger_id: FromPath[int],
    key: Annotated[str, HeaderParameter(name="Idempotency-Key", min_length=1, max_length=KEY_BOUND)],
    data: JSONBody[RestartIn | None] = None,
) -> Response[RestartOut]:
    """Restart a charger: 202 for a new restart, 200 for the one that is under way, or was asked for with this key, already.

    The header Idempotency-Key is yours to choose: the same key never restarts twice, and means the same request (else 422).
    """
    services, scope, wanted = services_of(request), caller.scope, data or RestartIn()
    row = await row_of(request, scope, charger_id)
    if wanted.evse is not None and wanted.evse not in _outlets(_state(row.state)):
        raise ProblemError(422, "This outlet cannot be restarted alone.", at="evse")
    new = NewRestart(
        kind=wanted.kind,
        evse=wanted.evse,
        when=_when(wanted.when, services.clock.now_ms()),
        why=_clean(wanted.why),
        idempotency_key=f"api-{scope.person_id}-{charger_id}-{_clean(key)}",
        address=address_in(request),
    )
    outcome = await services.restarts.request(scope, charger_id, new)
    if outcome.reasons:
        raise _refused(outcome.reasons)
    if outcome.restart_id is None:
        raise NotFoundException
    found = await _restart_row(request, scope, outcome.restart_id)
    is_ours = await restart_list.key_of(services.db, scope, found.id) == new.idempotency_key
    if is_ours and _differs(found, new):
        raise ProblemError(422, "This Idempotency-Key was used for another request.", at="Idempotency-Key")
    status = 200 if outcome.existing else 202
    return Response(_out(found), status_code=status, headers={"location": f"/api/v1/restarts/{found.id}"})


@get(
    "/restarts/{restart_id:int}",
    scope="read",
    operation_id="restart_status",
    summary="A restart",
    responses=responses(404),
)
async def restart_status(request: AnyRequest, caller: SignedIn, restart_id: FromPath[int]) -> RestartOut:
    """How far a restart is, and how it went."""
    return _out(await _restart_row(request, caller.scope, restart_id))


async def _restart_row(request: AnyRequest, scope: Scope, restart_id: int) -> Row:
    row = await restart_list.row(services_of(request).db, scope, restart_id)
    if row is None:
        raise NotFoundException
    return row


def _differs(row: Row, new: NewRestart) -> bool:
    """Whether a restart is another one than what is asked for now."""
    wanted = (new.kind or row.kind, new.evse, new.why)
    return wanted != (row.kind, row.evse, row.why)


def _refused(reasons: tuple[str, ...]) -> ProblemError:
    status = 403 if any(reason in FORBIDDEN for reason in reasons) else 409
    told = [{"reason": reason, "detail": REASONS[reason]} for reason in reasons]
    return ProblemError(status, " ".join(REASONS[reason] for reason in reasons), reasons=told)


def _outlets(state: ChargerState) -> set[int]:
    """Those that can be restarted alone: OCPP 2.x alone knows how."""
    return {one.evse for one in state.connectors if one.evse > 0} if state.protocol == "2.0.1" else set()


def _when(text: str, now_ms: int) -> When:
    if text == "now":
        return "now"
    if text == "free":
        return "free"
    try:
        at = datetime.fromisoformat(text)
        at_ms = round(at.timestamp() * 1_000) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        at_ms = None
    if at_ms is None:
        raise ProblemError(422, "“when” is now, free, or an instant with its zone (RFC 3339).", at="when")
    if not now_ms <= at_ms <= now_ms + FARTHEST_MS:
        raise ProblemError(422, "A restart can be planned from now to 30 days ahead.", at="when")
    return at_ms


def _clean(text: str) -> str:
    """One line of text that the database takes: no NUL, no lone surrogate."""
    return " ".join(text.replace("\0", "").encode("utf-8", "ignore").decode().split())


def _out(row: Row) -> RestartOut:
    return RestartOut(
        id=row.id,
        charger=Named(row.charger_id, row.charger_name or ""),
        kind=row.kind,
        evse=row.evse,
        phase=row.phase,
        verdict=row.verdict,
        reason=row.reason,
        requested_by=row.person_name,
        why=row.why,
        requested_at=instant(row.requested_ms),
        not_before=instant(row.not_before_ms),
        sent_at=instant(row.sent_ms),
        ended_at=instant(row.ended_ms),
        duration_ms=row.duration_ms,
    )


ROUTES = [restart, restart_status]
