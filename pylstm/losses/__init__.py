"""Losses and their gradients: of classes, of numbers, of labels without alignment (CTC)."""
