"""What one pass keeps and gives: every inner quantity, gradients, derivatives along a direction."""
