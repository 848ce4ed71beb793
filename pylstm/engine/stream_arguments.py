"""What the arguments of a stream must be where they are not just as the loop takes them, and its states as arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from pylstm.checks import ByName, check_array, check_names
from pylstm.hint_calls import takes_input, wrong_call
from pylstm.wording import in_parts


def refuse_layer(layer: Any) -> NoReturn:
    """`TypeError` where a stream is made of something else, or by hand with arguments that it does not take."""
    made = "stream = layer.stream(batch_size)"
    if layer is ... or hasattr(layer, "_core"):
        raise TypeError(f"Stream takes layer and batch_size, and its layer makes it: {made}")
    raise TypeError(f"layer must be a single layer such as pylstm.LSTM(3, 5), got {layer!r}: {made}")


def show(kind: Any) -> None:
    """Signatures of a stream without what a method takes to refuse it in its own words."""
    for method in (kind.step, kind.feed, kind.reset, kind.snapshot, kind.restore, kind.refresh, kind.fork):
        takes_input(method)


def explain_call(function: Callable[..., Any], given: tuple[Any, ...], options: dict[str, Any]) -> None:
    """`TypeError` if a method of a stream does not take a call; what `step` and `feed` need they say themselves."""
    if len(given) > 1 or options:
        problem = wrong_call(function, f"stream.{function.__name__}", given, options)
        if problem is not None:
            raise TypeError(problem)


def refuse_call(function: Callable[..., Any], given: tuple[Any, ...], options: dict[str, Any]) -> NoReturn:
    """`TypeError` for a call that a method of a stream does not take; `...` among `given` was not given."""
    given = tuple(each for each in given if each is not ...)
    raise TypeError(wrong_call(function, f"stream.{function.__name__}", given, options))


def not_callable(stream: Any) -> NoReturn:
    """`TypeError` for a stream that is called as a layer is."""
    kind = type(stream).__name__
    raise TypeError(f"a {kind} is not callable: stream.step(x_t) makes one step, stream.feed(chunk) many")


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
    values = in_parts("state", values, layer.cell.contract.complex)
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
