"""Measurements, to be run by hand from the root: ``python -m benchmarks.load``."""
