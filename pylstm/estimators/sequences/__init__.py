"""Sequences for a classifier or a regressor: what X may be, checked, scaled, in batches."""
