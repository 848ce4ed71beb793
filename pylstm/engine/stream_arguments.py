"""What the arguments of a stream must be where they are not just as the loop takes them, and its states as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import ByName, check_array, check_names


def check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """`out` as an array that a stream can write to as it is; `TypeError` or `ValueError` where that needs a copy."""
    cure = f"make it once with np.empty({shape}, {dtype.name!r})"
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray):
        raise TypeError(f"out must be a numpy.ndarray, got {type(out).__name__}: {cure}")
    if out.dtype != dtype:
        raise TypeError(f"out must be {dtype}, got {out.dtype}: {cure}")
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {out.shape}: {cure}")
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError(f"out must be C-contiguous and writable: {cure}")
    return out.view(dtype, np.ndarray)


def check_rows(x_t: Any, batch_size: int, width: int) -> None:
    """`ValueError` where a step has another number of rows than the stream; another shape is left to `check_array`."""
    shape = np.shape(x_t)
    if shape != (batch_size, width) and len(shape) == 2 and shape[1] == width:
        raise ValueError(
            f"x_t must have shape ({batch_size}, {width}), got {shape}: a stream of {shape[0]} rows is "
            f"layer.stream(batch_size={shape[0]})"
        )


def pack_states(layer: Any, batch_size: int, values: Any) -> bytes:
    """The states `values`, by name, one after the other as the loop has them."""
    names = layer.cell.contract.states
    check_names("state", values, names)
    missing = [name for name in names if values.get(name) is None]
    if missing:
        raise ValueError(f"state needs all of {', '.join(names)}; missing: {', '.join(missing)}")
    rows = []
    for name in names:
        width = layer.widths[name]
        shape = (width,) if batch_size == 1 and np.ndim(values[name]) == 1 else (batch_size, width)
        array = check_array(f"state[{name!r}]", values[name], shape, layer.dtype)
        rows.append(np.asarray(array, np.dtype(layer.dtype.name)).tobytes())
    return b"".join(rows)


def unpack_states(layer: Any, batch_size: int, states: bytes) -> dict[str, np.ndarray]:
    """Name -> array (batch_size, width), from what `pack_states` made."""
    found, at = ByName(), 0
    for name in layer.cell.contract.states:
        count = batch_size * layer.widths[name]
        found[name] = np.frombuffer(states, layer.dtype, count, at).reshape(batch_size, -1).copy()
        at += found[name].nbytes
    return found
