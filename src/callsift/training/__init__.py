"""Training in torch: batches, fitting, runs, and export to the graphs that a bundle holds."""
