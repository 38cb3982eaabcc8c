"""What Prometheus sees of the gateway."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.gateway.fakes import house
from tests.gateway.peers import BOOT, call, dial

pytestmark = pytest.mark.anyio


async def test_counters_are_shown_as_prometheus_wants_them() -> None:
    registry = CollectorRegistry()
    async with house() as it, dial(it) as socket:
        registry.register(it.links.counts)
        await call(socket, "BootNotification", {**BOOT, "odd": 1})
        await call(socket, "MakeCoffee", {}, "2")
        shown = generate_latest(registry).decode()
    assert "borne_links 1.0" in shown
    assert "borne_gateway_frames_in_total 2.0" in shown
    assert 'borne_gateway_tolerated_total{kind="extra_field"} 1.0' in shown
    assert 'borne_gateway_refused_calls_total{code="NotImplemented"} 1.0' in shown
