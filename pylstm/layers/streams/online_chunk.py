"""`take_chunk`: the arguments of `OnlineStream.feed`, checked before a step is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.checks import Array, as_array, check_array, check_names, check_reset
from pylstm.engine.stream_arguments import check_out
from pylstm.layers.streams.online_parts import OnlinePart


@dataclass
class Chunk:
    """Steps first: x (T, B, I), `aux` by layer of name -> (T, B, width), `reset` (T, B)."""

    x: Array
    aux: list[dict[str, Array]]
    reset: Array | None
    shape: tuple[int, ...]
    """The shape of the result, as the caller has it."""
    swapped: bool

    @property
    def T(self) -> int:
        """Steps."""
        return len(self.x)

    def room(self, out: Any) -> Array:
        """An array for the outputs, (T, B, width)."""
        whole = self.x.shape[:2] + self.shape[-1:]
        if out is None:
            return np.empty(whole, self.x.dtype)
        taken = check_out(out, self.shape, self.x.dtype)
        return np.empty(whole, self.x.dtype) if self.swapped else taken.reshape(whole)

    def result(self, y: Array, out: Array | None) -> Array:
        """The outputs as the caller has them."""
        if out is None:
            return y.swapaxes(0, 1) if self.swapped else y.reshape(self.shape)
        if self.swapped:
            out[...] = y.swapaxes(0, 1)
        return out


def take_chunk(stream: Any, chunk: Any, aux: Any, reset: Any) -> Chunk:
    """What `feed` is given.

    Raises
    ------
    TypeError, ValueError
        Another dtype or shape; aux inputs that are missing or outside their domain.
    """
    layer, B = stream.layer, stream.batch_size
    x = as_array("chunk", chunk)
    single, swapped = B == 1 and x.ndim == 2, layer.batch_first and x.ndim == 3
    axes: tuple[Any, ...] = ("T",) if single else (B, "T") if swapped else ("T", B)
    x = check_array("chunk", x, (*axes, layer.input_size), layer.dtype)
    lead = x.shape[:-1]
    x = np.array(_steps_first(x, single, swapped), layer.dtype, order="C")  # a copy, as `out` may share its memory
    given = [_take_aux(part, each, lead, single, swapped) for part, each in zip(stream._parts, stream._by_part(aux))]
    anew = None
    if reset is not None:
        anew = _steps_first(check_reset(as_array("reset", reset), lead), single, swapped)
    return Chunk(x, given, anew, (*lead, layer.output_size), swapped)


def _take_aux(part: OnlinePart, aux: Any, lead: tuple[int, ...], single: bool, swapped: bool) -> dict[str, Array]:
    aux, taken = {} if aux is None else aux, {}
    check_names("aux", aux, part.given)
    for name in part.given:
        shape = (*lead, part.layer.widths[name])
        if aux.get(name) is None:
            raise ValueError(f"cell {part.contract.name!r} needs aux[{name!r}] at every step: shape {shape}")
        array = check_array(f"aux[{name!r}]", aux[name], shape, part.layer.dtype)
        part.contract.check_aux(name, array)
        taken[name] = _steps_first(array, single, swapped)
    return taken


def _steps_first(array: Array, single: bool, swapped: bool) -> Array:
    """(T, B, ...) of what has one row, or rows first."""
    if single:
        return array[:, None]
    return array.swapaxes(0, 1) if swapped else array
