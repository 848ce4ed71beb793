"""`Activation`, `PReLU` and `Normalisation`: what a `Chain` computes of every step alone, beside affine maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import Array
from pylstm.engine.levels import load

ACTIVATIONS = ("tanh", "relu", "sigmoid", "softmax", "elu")
"""Those that RTNeural has by name."""


def applied(name: str, x: Array) -> Array:
    """The engine's function of every element: NumPy's has other bits on other machines."""
    x = np.ascontiguousarray(x)
    out = np.empty_like(x)
    load("pylstm.engine.activations").apply(name, x.reshape(-1), out.reshape(-1))
    return out


class Activation:
    """A function of `ACTIVATIONS`; `softmax` is over the last axis."""

    def __init__(self, name: str, size: int, dtype: Any) -> None:
        self.name, self.in_features, self.out_features, self.dtype = name, size, size, np.dtype(dtype)

    def __call__(self, x: Array) -> Array:
        """The outputs (..., size) of `x` (..., size)."""
        if self.name == "elu":
            return np.where(x > 0, x, applied("expm1", np.minimum(x, 0)))
        if self.name == "softmax":
            powers = applied("exp", x - x.max(axis=-1, keepdims=True))
            # one column after the other: the order of a sum over the axis depends on the shape
            total = powers[..., :1].copy()
            for k in range(1, powers.shape[-1]):
                total += powers[..., k : k + 1]
            return powers / total
        return applied(self.name, x)

    def __repr__(self) -> str:
        return f"Activation({self.name!r}, {self.in_features})"


class PReLU:
    """``x`` where it is above 0, else ``alpha x``; `alpha` has one number, or one for each of `size` features."""

    def __init__(self, alpha: Array, size: int) -> None:
        self.alpha, self.in_features, self.out_features, self.dtype = alpha, size, size, alpha.dtype

    def __call__(self, x: Array) -> Array:
        """The outputs (..., size) of `x` (..., size)."""
        return np.where(x > 0, x, x * self.alpha)

    def __repr__(self) -> str:
        return f"PReLU({self.in_features})"


class Normalisation:
    """``(x - mean) / sqrt(variance + epsilon) scale + shift``, with the means of a training; no scale: 1 and 0."""

    def __init__(self, mean: Array, variance: Array, epsilon: float, scale: Array | None, shift: Array | None) -> None:
        self.mean, self.variance, self.epsilon, self.scale, self.shift = mean, variance, epsilon, scale, shift
        self.in_features, self.out_features, self.dtype = mean.size, mean.size, mean.dtype
        factor = 1 / np.sqrt(variance.astype("f8") + epsilon)
        self._factor = (factor if scale is None else factor * scale).astype(mean.dtype)

    def __call__(self, x: Array) -> Array:
        """The outputs (..., size) of `x` (..., size)."""
        y: Array = (x - self.mean) * self._factor
        return y if self.shift is None else y + self.shift

    def __repr__(self) -> str:
        return f"Normalisation({self.in_features})"
