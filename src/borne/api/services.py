"""What the API stands on. Wiring builds one `ApiServices` and gives it to `create_api`."""

from __future__ import annotations

from dataclasses import dataclass

from borne.engine.clock import NowMs
from borne.engine.restarts import Restarts
from borne.engine.site_meter import SiteMeter
from borne.store.db import Database


@dataclass(slots=True)
class ApiServices:
    db: Database
    clock: NowMs
    restarts: Restarts
    site_meter: SiteMeter
    trusted_proxies: tuple[str, ...]  # networks whose X-Forwarded-For is believed
