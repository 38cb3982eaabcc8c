"""The measure of comparison: an OCPP server as most people would write it first."""
