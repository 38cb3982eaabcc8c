"""Borne: an open OCPP charger cloud. Chargers hold a socket to it, people act on them from its portal."""

__version__ = "0.1.0"
