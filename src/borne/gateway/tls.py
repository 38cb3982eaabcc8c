"""TLS of the listener: security profile 2, and 3 where an authority for chargers' certificates is set."""

from __future__ import annotations

import ssl
from typing import Any

from borne.gateway.settings import GatewaySettings


def server_context(settings: GatewaySettings) -> ssl.SSLContext | None:
    """The context, None without a certificate. Raises OSError or ssl.SSLError when a file cannot be used."""
    if settings.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    if settings.tls_client_ca is not None:
        context.load_verify_locations(settings.tls_client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL  # a certificate that does not verify ends the handshake; none is none
    return context


def common_name(transport: Any) -> str | None:
    """The common name of the verified certificate that the charger showed; None when it showed none."""
    certificate = transport.get_extra_info("peercert")
    for names in (certificate or {}).get("subject", ()):
        for key, value in names:
            if key == "commonName":
                return str(value)
    return "" if certificate else None
