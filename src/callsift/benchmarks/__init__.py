"""Public data sets as benchmarks: one file each, and what runs them."""
