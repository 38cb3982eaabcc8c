"""Simulated chargers and the deterministic world in which the real rings are tested."""
