"""Applies facts: the only writer of machine state, one transaction at a time, and the timers that wake machines."""
