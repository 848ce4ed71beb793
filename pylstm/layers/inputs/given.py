"""`Given`: the per-step inputs of a run besides x, checked, as the time loop takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import as_array, check_array, check_names, check_reset
from pylstm.layers.inputs.layout import Layout
from pylstm.layers.inputs.learned import origin_of, rows_of
from pylstm.layers.inputs.made import Made
from pylstm.layers.inputs.protocols import SingleLayer
from pylstm.wording import in_parts

Widths = dict[tuple[str, str], int]
"""(kind, name) -> the width in which an array was given."""


class Given:
    """What comes with every step of a run.

    Attributes
    ----------
    aux : list of ndarray by aux block of the cell, or None
        (T, B, width) each; None for the block that is the input itself.
    pre, blend : list of ndarray by state, or None
        (T, B, width) each, widened to the state; None where the state has none.
    reset : ndarray of uint8, shape (T, B), or None
    origin : list of ndarray by state, or None
        With `reset`: what a row starts from, (width,) each, the learned states at the time of the run.
    learned : tuple of str
        States that start from the layer's parameters at step 0.
    made : Made, or None
        The weights, where they are made of the parameters.
    widths : dict of (kind, name) to int
        Width in which an array was given.
    counts : Counts, or None
        What the loop counts of the gates.
    scaled, blended : int
        Bit k: state k is scaled before a step (pre or reset), blended after it.
    """

    __slots__ = ("aux", "blend", "blended", "counts", "learned", "made", "origin", "pre", "reset", "scaled", "widths")

    def __init__(self, learned: tuple[str, ...] = (), made: Made | None = None) -> None:
        self.aux: list[np.ndarray | None] | None = None
        self.pre: list[np.ndarray | None] | None = None
        self.blend: list[np.ndarray | None] | None = None
        self.reset: np.ndarray | None = None
        self.origin: list[np.ndarray] | None = None
        self.learned, self.made = learned, made
        self.widths: dict[tuple[str, str], int] = {}
        self.counts: Any = None
        self.scaled = self.blended = 0

    def counting(self, counts: Any) -> Given:
        """The same, counted in `counts`."""
        found = Given() if self is NOTHING else self.cut(slice(None))
        found.counts = counts
        return found

    def gradients(self, origin: list[np.ndarray | None] | None) -> GivenGradients:
        """Room for its gradients, and those of `origin`."""
        return GivenGradients(_like(self.aux), _like(self.pre), _like(self.blend), origin)

    def cut(self, piece: slice) -> Given:
        """The steps of a segment."""
        part = Given(self.learned, self.made)
        part.aux, part.pre, part.blend = (cut_arrays(arrays, piece) for arrays in (self.aux, self.pre, self.blend))
        part.reset = None if self.reset is None else self.reset[piece]
        part.origin, part.widths, part.scaled, part.blended = self.origin, self.widths, self.scaled, self.blended
        return part


class GivenGradients:
    """Room for the gradients of what came with the steps of a run.

    Attributes
    ----------
    aux, pre, blend : list of ndarray, or None
        As those of the `Given`.
    origin : list of ndarray by state, or None
        (B, width) each, the sums over the resets of a row; None where a state starts from a constant.
    deltas : tuple of three lists of ndarray, or None
        Cotangents of every step: of the gates, of the emissions and of the states after it, as the loop has per-step
        arrays.
    direct : bool
        Nothing goes back through a matrix that multiplies a state.
    """

    __slots__ = ("aux", "blend", "deltas", "direct", "origin", "pre")

    def __init__(self, aux: Any, pre: Any, blend: Any, origin: Any, deltas: Any = None, direct: bool = False) -> None:
        self.aux, self.pre, self.blend, self.origin = aux, pre, blend, origin
        self.deltas, self.direct = deltas, direct

    def cut(self, piece: slice) -> GivenGradients:
        """The steps of a segment."""
        aux, pre, blend = (cut_arrays(arrays, piece) for arrays in (self.aux, self.pre, self.blend))
        deltas = self.deltas and tuple(cut_arrays(arrays, piece) for arrays in self.deltas)
        return GivenGradients(aux, pre, blend, self.origin, deltas, self.direct)


NOTHING = Given()  # of most runs: nobody may write to it


def cut_arrays(arrays: Any, piece: slice) -> Any:
    """The steps of a segment, of a list of arrays or None."""
    return arrays and [None if array is None else array[piece] for array in arrays]


def take_given(
    layer: SingleLayer,
    layout: Layout,
    sizes: tuple[int, int],
    taken: tuple[tuple[str, ...], Made | None],
    *,
    aux: Any,
    pre: Any,
    reset: Any,
    blend: Any,
) -> Given:
    """What the caller of `layer` gives with the steps of a run of sizes (T, B).

    `taken`: the states that are learned, from `take_initial`, and the weights that are made.

    Raises
    ------
    TypeError, ValueError
        A wrong dtype or shape, an unknown name, an aux block that is missing or outside its domain.
    """
    contract, (learned, made) = layer.cell.contract, taken
    if aux is pre is reset is blend is None and not (contract.aux or learned or made):
        return NOTHING
    given = Given(learned, made)
    if contract.aux or aux is not None:
        given.aux = _take_aux(layer, layout, sizes, {} if aux is None else aux, given.widths)
    if pre is not None:
        given.pre, given.scaled = _take_modifier(layer, layout, sizes, "pre", pre, given.widths)
    if blend is not None:
        given.blend, given.blended = _take_modifier(layer, layout, sizes, "blend", blend, given.widths)
    if reset is not None:
        given.reset, given.scaled = _take_reset(layout, sizes, reset), (1 << len(contract.states)) - 1
        given.origin = [origin_of(layer, name) for name in contract.states]
    return given


def take_initial(
    layer: SingleLayer, layout: Layout, B: int, initial: Any
) -> tuple[list[np.ndarray | None] | None, tuple[str, ...]]:
    """Initial states by state, (B, width) each, None where it is 0 (or as a whole); and the names of the learned ones.

    What `layer` has learned stands for a state that is not given.

    Raises
    ------
    TypeError, ValueError
        Not a dict; an unknown name; a wrong dtype or shape.
    """
    if initial is None and not layer.learn_initial:
        return None, ()
    states, initial = layer.cell.contract.states, {} if initial is None else initial
    initial = in_parts("initial", initial, layer.cell.contract.complex)
    check_names("initial", initial, states)
    learned = tuple(name for name in layer.learn_initial if initial.get(name) is None)
    start: list[np.ndarray | None] = []
    for name in states:
        if name in learned:
            start.append(rows_of(layer, name, B))
        else:
            start.append(None if initial.get(name) is None else _take_state(layer, layout, B, name, initial[name]))
    return start, learned


def _take_state(layer: SingleLayer, layout: Layout, B: int, name: str, value: Any) -> np.ndarray:
    shape = layout.rows_shape(B, layer.widths[name])
    try:
        return layout.rows_in(check_array(f"initial[{name!r}]", value, shape, layer.dtype))
    except ValueError as error:
        if getattr(value, "shape", None) != (1, *shape):
            raise
        raise ValueError(f"{error}: one layer has no leading axis of layers, unlike PyTorch's h0: pass h0[0]") from None


def _take_aux(
    layer: SingleLayer, layout: Layout, sizes: tuple[int, int], aux: Any, widths: Widths
) -> list[np.ndarray | None]:
    names = tuple(name for name in layer.cell.contract.aux if name != "x")
    aux = in_parts("aux", aux, layer.cell.contract.complex)
    check_names("aux", aux, names)
    for name in names:
        if aux.get(name) is None:
            raise ValueError(
                f"cell {layer.cell.name!r} needs aux[{name!r}] at every step: "
                f"shape {layout.steps_shape(*sizes, layer.widths[name])}"
            )
    taken: list[np.ndarray | None] = []
    for name in layer.cell.contract.aux:
        if name == "x":
            taken.append(None)
            continue
        widths["aux", name] = layer.widths[name]
        shape = layout.steps_shape(*sizes, layer.widths[name])
        taken.append(layout.steps_in(check_array(f"aux[{name!r}]", aux[name], shape, layer.dtype)).copy())
        layer.cell.contract.check_aux(name, taken[-1])
    return taken


def _take_modifier(
    layer: SingleLayer, layout: Layout, sizes: tuple[int, int], what: str, values: Any, widths: Widths
) -> tuple[list[np.ndarray | None], int]:
    """`values` by state, widened to the state; and the bit set of the states that have one."""
    taken: list[np.ndarray | None] = []
    states, bits = layer.cell.contract.states, 0
    check_names(what, values, states)
    for k, name in enumerate(states):
        if values.get(name) is None:
            taken.append(None)
            continue
        array = as_array(f"{what}[{name!r}]", values[name])
        width = 1 if array.shape[-1:] == (1,) else layer.widths[name]
        shape = layout.steps_shape(*sizes, width)
        array = layout.steps_in(check_array(f"{what}[{name!r}]", array, shape, layer.dtype))
        taken.append(np.array(np.broadcast_to(array, (*array.shape[:-1], layer.widths[name])), order="C"))
        widths[what, name] = width
        bits |= 1 << k
    return taken, bits


def _take_reset(layout: Layout, sizes: tuple[int, int], reset: Any) -> np.ndarray:
    """`reset` as the time loop has it: bytes, (T, B)."""
    return layout.steps_in(check_reset(reset, layout.steps_shape(*sizes))).copy()


def _like(arrays: Any) -> Any:
    return arrays and [None if array is None else np.empty_like(array) for array in arrays]
