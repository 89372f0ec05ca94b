"""Studies: many trainings of one design, compared. `plan`, `trial`, `study` make them, `report` sums up."""
