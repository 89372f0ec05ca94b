"""Experiments and timings: scripts with results written to docs/, not tests."""
