"""Training: optimisers, gradient clipping, truncated back-propagation through time, the character model."""
