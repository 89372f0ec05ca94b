"""Metrics, intervals, calibration and evaluation. NumPy alone, so that `evaluate BUNDLE` needs no training extra."""
