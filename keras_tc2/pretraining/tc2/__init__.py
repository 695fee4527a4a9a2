"""Task Conflict Calibration: the pretrainer whose tasks serve one another."""
