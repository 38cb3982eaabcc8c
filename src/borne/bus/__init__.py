"""Hints between processes. They carry ids only: a lost hint costs time, never data."""
