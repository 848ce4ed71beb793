"""`Conv1d`: a convolution over one axis, as a `Linear` of windows; files of RTNeural and ONNX graphs have them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import Array
from pylstm.engine.threads import allowed_threads
from pylstm.feedforward.linear import Linear

MANY = 1 << 40
"""Windows of a product for any number of them."""


class Conv1d:
    """``y[s, r] = bias + sum over k of x[s, stride r + dilation k] @ kernel[k]``, within each group of channels.

    Parameters
    ----------
    kernel : ndarray, shape (K, in_features / groups, out_features)
    bias : ndarray, shape (out_features,), optional
    stride, dilation, groups : int
        Of `groups` equal parts of the inputs each sees its part of the outputs only.

    Attributes
    ----------
    layers : list of Linear
        One for each group: the map of a window (K in_features / groups,), step after step.
    in_features, out_features, size, stride, dilation, groups : int
        `size` is K.
    dtype : dtype
    """

    def __init__(
        self, kernel: Array, bias: Array | None, *, stride: int = 1, dilation: int = 1, groups: int = 1
    ) -> None:
        self.size, inputs, outputs = kernel.shape
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.in_features, self.out_features, self.dtype = inputs * groups, outputs, kernel.dtype
        self.layers: list[Linear] = []
        for own in np.split(np.arange(outputs), groups):
            part = Linear(self.size * inputs, len(own), bias=bias is not None, dtype=kernel.dtype, seed=0)
            part.params["weight"] = kernel[:, :, own].reshape(-1, len(own)).T
            if bias is not None:
                part.params["bias"] = bias[own]
            self.layers.append(part)

    @property
    def kernel(self) -> Array:
        """The weights, (K, in_features / groups, out_features)."""
        each = (part.params["weight"].T.reshape(self.size, -1, part.out_features) for part in self.layers)
        return np.concatenate(list(each), axis=-1)

    @property
    def bias(self) -> Array | None:
        """(out_features,), or None."""
        return np.concatenate([part.params["bias"] for part in self.layers]) if self.layers[0].bias else None

    @property
    def reach(self) -> int:
        """Steps of a window before its last one."""
        return int(self.dilation * (self.size - 1))

    def count(self, steps: int) -> int:
        """Windows in so many steps."""
        return max(0, (steps - self.reach - 1) // self.stride + 1)

    def packed(self, most: int = MANY) -> list[Any]:
        """The maps with the parameters of now, for at most so many windows, or sequences, at once."""
        return [part.packed(most) for part in self.layers]

    def __repr__(self) -> str:
        return f"Conv1d({self.in_features}, {self.out_features}, {self.size})"


class Windows:
    """A convolution laid out for S sequences of L steps: write `steps`, then call.

    Steps lie one after the other, so a window is K in_features elements in a row, and the product reads it where it
    lies. Those of groups or with gaps are gathered first.

    Parameters
    ----------
    conv : Conv1d
    packed : list
        Of `Conv1d.packed`, for S and for the windows of L steps.
    S, L : int

    Attributes
    ----------
    steps : ndarray, shape (S, L, in_features)
        Zeros at first.
    """

    def __init__(self, conv: Conv1d, packed: list[Any], S: int, L: int) -> None:
        G, K, C, R = conv.groups, conv.size, conv.in_features, conv.count(L)
        self.steps = np.zeros((S, L, C), conv.dtype)
        self._packed = packed
        self._y = [np.empty((S, R, part.out_features), conv.dtype) for part in conv.layers]
        self._rows = S, R, K * C // G
        sequence, step, channel = self.steps.strides
        own, along = C // G * channel, (sequence, conv.stride * step)
        self._in_place: Array | None = None
        lend = np.lib.stride_tricks.as_strided
        if G == conv.dilation == 1:
            self._in_place = lend(self.steps, self._rows, (*along, channel), writeable=False)
        strides = own, *along, conv.dilation * step, channel
        self._windows = lend(self.steps, (G, S, R, K, C // G), strides, writeable=False)

    def __call__(self) -> Array:
        """The outputs (S, R, out_features), which the next call may overwrite."""
        threads = allowed_threads()
        if self._in_place is not None:
            self._packed[0].windows(self._in_place, self._y[0], threads=threads)
            return self._y[0]
        for packed, part, y in zip(self._packed, self._windows, self._y):
            packed.windows(np.ascontiguousarray(part.reshape(self._rows)), y, threads=threads)
        return self._y[0] if len(self._y) == 1 else np.concatenate(self._y, axis=-1)
