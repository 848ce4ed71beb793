"""`POOLING`: ONNX operators that pool windows over one axis, x (N, C, L)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Attributes = dict[str, Any]


def _places(op: str, a: Attributes, x: Any) -> tuple[int, tuple[int, int], np.ndarray]:
    """L with its padding, the padding, and the places (windows, size) of what each window sees."""
    if x.ndim != 3 or len(a["kernel_shape"]) != 1:
        raise ValueError(
            f"{op} must be over one axis of x (N, C, L), got x of shape {x.shape} and kernel_shape={a['kernel_shape']}"
        )
    (size,), (stride,), (dilation,) = a["kernel_shape"], a.get("strides", [1]), a.get("dilations", [1])
    L, reach, same = x.shape[2], (size - 1) * dilation, a.get("auto_pad", "NOTSET")
    before, after = a.get("pads", (0, 0)) if same == "NOTSET" else (0, 0)
    if same.startswith("SAME"):  # ceil(L / stride) windows; of an odd padding UPPER has the larger part at the end
        rest = max((-(-L // stride) - 1) * stride + reach + 1 - L, 0)
        before, after = (rest // 2, rest - rest // 2) if same == "SAME_UPPER" else (rest - rest // 2, rest // 2)
    whole = L + before + after
    if whole <= reach:
        raise ValueError(
            f"{op}: a window of {reach + 1} steps is longer than the input, {L} steps and {before + after} of padding"
        )
    count = (whole - reach - 1) // stride + 1
    if a.get("ceil_mode") and (whole - reach - 1) % stride and count * stride < L + before:
        count += 1  # the last window begins in x, and ends beyond
    return whole, (before, after), np.arange(count)[:, None] * stride + np.arange(size) * dilation


def _max_pool(a: Attributes, x: Any) -> Any:
    _, (before, _), at = _places("MaxPool", a, x)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    room = np.full((*x.shape[:2], max(int(at.max()) + 1, before + x.shape[2])), lowest, x.dtype)
    room[..., before : before + x.shape[2]] = x
    seen = room[..., at]
    if a.get("outputs", 1) == 1:
        return seen.max(axis=-1)
    best = seen.argmax(axis=-1)[..., None]
    where = (
        at[np.arange(len(at)), best[..., 0]] - before + np.arange(x[..., 0].size).reshape(*x.shape[:2], 1) * x.shape[2]
    )
    return np.take_along_axis(seen, best, axis=-1)[..., 0], where


def _average_pool(a: Attributes, x: Any) -> Any:
    whole, (before, _), at = _places("AveragePool", a, x)
    room = np.zeros((*x.shape[:2], max(int(at.max()) + 1, whole)), x.dtype)
    room[..., before : before + x.shape[2]] = x
    counted = at < whole if a.get("count_include_pad") else (at >= before) & (at < before + x.shape[2])
    return room[..., at].sum(axis=-1) / counted.sum(axis=-1).astype(x.dtype)


def _of_all(function: Callable[..., Any]) -> Callable[..., Any]:
    def pool(a: Attributes, x: Any) -> Any:
        return function(x, axis=tuple(range(2, x.ndim)), keepdims=True)

    return pool


POOLING: dict[str, Callable[..., Any]] = {
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalMaxPool": _of_all(np.max),
    "GlobalAveragePool": _of_all(np.mean),
}
"""Operator -> function of the attributes and the input."""
