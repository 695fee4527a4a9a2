"""Classifiers on one encoder or several, trained on downstream labels."""
