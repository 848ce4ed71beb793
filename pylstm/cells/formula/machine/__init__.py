"""From a program to what the expression machine runs: fused, assembled, encoded."""
