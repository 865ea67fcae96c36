"""Measurements against a baseline in the same run: `make bench`. Nothing is asserted here; no test times anything."""
