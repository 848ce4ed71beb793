"""Nets that a `SequenceClassifier` takes when nobody says which, and how far their probabilities are to be believed."""
