"""What to type into a charger: its address, identity and password, shown once, with a QR code."""

from __future__ import annotations

import io
from typing import Any

import segno
from markupsafe import Markup

from borne.core.models import model_of
from borne.engine.onboarding import charger_url
from borne.portal.frame import Page


def credentials(page: Page, row: Any, password: str) -> dict[str, Any]:
    """What templates/charger/added.html shows."""
    gateway_url = page.services.settings.gateway_url
    url = charger_url(gateway_url, row.identity)
    return {
        "row": row,
        "name": row.name,
        "password": password,
        "url": url,
        "base_url": gateway_url.rstrip("/") + "/",
        "secret_url": charger_url(gateway_url, row.identity, password),
        "qr": qr_code(url),
        "model_note": model_of(row.model).note,
        "connected": False,
        "mistakes": [],
        "since_ms": page.services.clock.now_ms(),
    }


def qr_code(text: str) -> Markup:
    """An SVG of the QR code, to stand inside a page: sized and coloured by the style sheet."""
    out = io.BytesIO()
    segno.make(text, error="m").save(
        out,
        kind="svg",
        xmldecl=False,
        omitsize=True,
        border=2,
        svgclass="qr",
        lineclass="qr-dots",
        dark="#000",
        light=None,
    )
    return Markup(out.getvalue().decode())  # drawn of modules alone: the text itself is not in it
