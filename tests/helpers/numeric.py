"""Derivatives by central differences."""

import numpy as np


def difference(function, array, index, step=1e-5):
    """Of `function()` in one element of `array`, of fourth order."""
    before, values = array[index], []
    for k in (-2, -1, 1, 2):
        array[index] = before + k * step
        values.append(function())
    array[index] = before
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)


def differences(function, array, step=1e-6):
    """Of `function(array)` in every element."""
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        above, below = array.copy(), array.copy()
        above[index] += step
        below[index] -= step
        gradient[index] = (function(above) - function(below)) / (2 * step)
    return gradient
