"""What every pretrainer shares: a step, and `fit` around it."""
