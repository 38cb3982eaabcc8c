"""The address of whoever asks, where a proxy may stand in front."""

from __future__ import annotations

import ipaddress
from functools import cache


def address_of(peer: str, forwarded_for: str, trusted_proxies: tuple[str, ...]) -> str:
    """The peer, or what a trusted proxy says of it (X-Forwarded-For): the last hop that is none of ours."""
    if not trusted_proxies or not _is_trusted(peer, trusted_proxies):
        return peer
    for hop in map(str.strip, reversed(forwarded_for.split(","))):
        if not _is_address(hop):
            break
        peer = hop
        if not _is_trusted(hop, trusted_proxies):
            break
    return peer


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_trusted(address: str, networks: tuple[str, ...]) -> bool:
    if not _is_address(address):
        return False
    ip = ipaddress.ip_address(address)
    return any(ip in network for network in _parsed(networks))


@cache
def _parsed(networks: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(network, strict=False) for network in networks)
