"""What one pass is given: its inputs, checked, as the time loop takes them, and what it needs of its layer."""
