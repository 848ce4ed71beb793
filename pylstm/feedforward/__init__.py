"""Maps without recurrence: `Linear`, `MLP`, `Embedding`."""
