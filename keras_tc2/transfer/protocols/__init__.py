"""The protocols of `evaluate`: from features and labels to scores."""
