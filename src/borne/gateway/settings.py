"""What the gateway's owner may set. Times in seconds, sizes in bytes."""

from __future__ import annotations

import msgspec


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults suit a public installation; the demo and the tests shorten the times."""

    host: str = "127.0.0.1"
    port: int = 9000
    path: str = "/ocpp"
    trusted_proxies: tuple[str, ...] = ()  # addresses and networks whose X-Forwarded-For and -Proto are believed

    tls_certificate: str | None = None  # PEM files; None: no TLS here
    tls_key: str | None = None
    tls_client_ca: str | None = None  # chargers with a certificate of this authority may come without a password

    ping_s: float = 15.0  # two periods of silence are a lost link
    settle_s: float = 30.0
    answer_timeout_s: float = 30.0
    takeover_probe_s: float = 2.0
    handshake_timeout_s: float = 10.0
    send_timeout_s: float = 10.0  # for a charger that does not read
    heartbeat_s: int = 300  # what a boot is told
    flush_s: float = 30.0  # signs of life to the database
    directory_poll_s: float = 0.5

    max_sockets: int = 50_000
    max_opening: int = 2_000  # links whose opening is not committed yet; beyond it newcomers are told to come back
    max_frame_bytes: int = 64 * 1024
    max_fragments: int = 1_024
    opens_a_minute: int = 6  # of one charger; more is a storm
    penalty_s: float = 60.0
    failures_a_minute: int = 30  # wrong passwords of one address, or for one identity, before they are told to wait
