"""Borne’s own API, version 1: one file for each noun."""
