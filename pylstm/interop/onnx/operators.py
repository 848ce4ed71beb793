"""Inputs W, R, B and P of the ONNX operators ``LSTM``, ``GRU`` and ``RNN``. No ONNX library is needed.

`CELLS` says which cell computes what the attributes of an operator ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pylstm.cells import hard_sigmoid
from pylstm.checks import check_array
from pylstm.hints import explained
from pylstm.interop.weights import directions_of, read_weights, refuse_other_kind, shapes_of, weights_of, write_weights
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import Recurrent
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.layers.stack import Stack

_LSTM, _GRU = ("Sigmoid", "Tanh", "Tanh"), ("Sigmoid", "Tanh")
CELLS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "lstm": ("LSTM", {"activations": _LSTM, "input_forget": 0}, ()),
    "peephole": ("LSTM", {"activations": _LSTM, "input_forget": 0}, ("p_i", "p_o", "p_f")),
    "lstm_linear_output": ("LSTM", {"activations": ("Sigmoid", "Tanh", "Affine"), "input_forget": 0}, ()),
    "lstm_noaf": ("LSTM", {"activations": ("Sigmoid", "Tanh", "Affine"), "input_forget": 0}, ("p_i", "p_o", "p_f")),
    "lstm_niaf": ("LSTM", {"activations": ("Sigmoid", "Affine", "Tanh"), "input_forget": 0}, ("p_i", "p_o", "p_f")),
    "cifg": ("LSTM", {"activations": _LSTM, "input_forget": 1}, ()),
    "cifg_peephole": ("LSTM", {"activations": _LSTM, "input_forget": 1}, ("p_i", "p_o", "")),
    "gru": ("GRU", {"activations": _GRU, "linear_before_reset": 1}, ()),
    "gru_reset_before": ("GRU", {"activations": _GRU, "linear_before_reset": 0}, ()),
    "rnn_tanh": ("RNN", {"activations": ("Tanh",)}, ()),
    "rnn_relu": ("RNN", {"activations": ("Relu",)}, ()),
    "rnn_linear": ("RNN", {"activations": ("Affine",)}, ()),
}
"""Cell -> operator, its attributes, and our names of the peepholes in P (an empty name: not used).

``Affine`` with its default alpha 1 and beta 0 is the identity.
"""
_HARD, _KERAS = ("HardSigmoid", "Tanh"), "pylstm.interop.keras"
HARD: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "lstm_hard_sigmoid": ("LSTM", {"activations": (*_HARD, "Tanh"), "input_forget": 0}, ()),
    "gru_hard_sigmoid": ("GRU", {"activations": _HARD, "linear_before_reset": 1}, ()),
    "gru_reset_before_hard_sigmoid": ("GRU", {"activations": _HARD, "linear_before_reset": 0}, ()),
}
"""The cells of `pylstm.interop.keras` with ``hard_sigmoid``: alpha is their slope, beta 1/2."""
_TABLE = CELLS | HARD


@explained()
def load_tensors(
    layer: RecurrentLayer | Stack | Bidirectional, W: Any, R: Any, B: Any = None, P: Any = None, **attributes: Any
) -> None:
    """Set the parameters of `layer` from the inputs of an ONNX operator; all is checked before anything is set.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack of one layer
        With a cell of `CELLS`, or one with ``hard_sigmoid`` of `pylstm.interop.keras`.
    W : array_like, shape (directions, G H, I)
        Of the dtype of `layer`; rows i, o, f, g of LSTM, z, r, n of GRU.
    R : array_like, shape (directions, G H, H)
    B : array_like, shape (directions, 2 G H), optional
        Those for x, then those for h. Needed if and only if the layer has a bias.
    P : array_like, shape (directions, 3 H), optional
        Peepholes i, o, f. Needed if and only if the cell has some.
    **attributes
        Of the operator, as the node has them: activations, activation_alpha, activation_beta, clip, direction,
        hidden_size, input_forget, layout, linear_before_reset. Those that are given are compared with what the layer
        computes.

    Raises
    ------
    TypeError
        A cell that ONNX does not have; another dtype; an attribute that the operators do not have.
    ValueError
        P or an attribute of what another cell computes (the message names it), or none of ours; weights of another kind
        of layer; another shape; several layers; a bias for a layer that has none, or none for one that has.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Recurrent("rnn_tanh", 2, 3, seed=0)
    >>> load_tensors(layer, np.ones((1, 3, 2), "f4"), np.ones((1, 3, 3), "f4"), np.ones((1, 6), "f4"))
    >>> layer.params["bias"]
    array([2., 2., 2.], dtype=float32)
    """
    leaves = _directions(layer)
    refuse_other_kind("onnx", leaves[0], "W and R are", np.moveaxis(np.asarray(R), 0, -1), np.shape(R)[-1])
    _check_operator(leaves, P is not None, attributes)
    if (B is not None) != leaves[0].bias:
        raise ValueError(f"the layer has bias={leaves[0].bias}, but B is {'given' if B is not None else 'not given'}")
    for_x, for_h, (rows,) = shapes_of("onnx", leaves[0])
    names = _TABLE[leaves[0].cell.name][2]
    if names:
        P = check_array("P", P, (len(leaves), 3 * leaves[0].hidden_size), leaves[0].dtype)
    arrays = [
        check_array(name, array, (len(leaves), *shape), leaves[0].dtype)
        for name, array, shape in (("W", W, for_x), ("R", R, for_h), ("B", B, (2 * rows,)))
        if array is not None
    ]
    values = [
        read_weights("onnx", leaf, "W and R", (w, r), tuple(np.split(b[0], 2)) if b else ())
        for leaf, w, r, *b in zip(leaves, *arrays)
    ]
    if names:
        for found, peepholes in zip(values, P):
            found |= {name: piece for name, piece in zip(names, np.split(peepholes, 3)) if name}
    for leaf, found in zip(leaves, values):
        leaf.params.update(found)


@explained()
def tensors(layer: RecurrentLayer | Stack | Bidirectional) -> dict[str, np.ndarray]:
    """W, R, B and P of the operator that computes what `layer` does; the inverse of `load_tensors`.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack of one layer

    Returns
    -------
    dict of str to ndarray
        ``W``, ``R``, with a bias ``B``, with peepholes ``P``: new arrays. The attributes: `attributes`.

    Examples
    --------
    >>> {name: array.shape for name, array in tensors(Recurrent("lstm", 2, 3)).items()}
    {'W': (1, 12, 2), 'R': (1, 12, 3), 'B': (1, 24)}
    """
    return _arrays(_directions(layer), write_weights)


def arrays_of(layer: RecurrentLayer) -> dict[str, np.ndarray]:
    """What `tensors` returns of a single layer; its learned initial states are left aside."""
    return _arrays([layer], weights_of)


def _arrays(leaves: Sequence[Any], write: Callable[..., tuple[np.ndarray, ...]]) -> dict[str, np.ndarray]:
    parts = [write("onnx", leaf) for leaf in leaves]
    found = {"W": np.stack([part[0] for part in parts]), "R": np.stack([part[1] for part in parts])}
    if len(parts[0]) > 2:
        found["B"] = np.stack([np.concatenate(part[2:]) for part in parts])
    if names := _TABLE[leaves[0].cell.name][2]:
        nothing = np.zeros(leaves[0].hidden_size, leaves[0].dtype)
        found["P"] = np.stack(
            [np.concatenate([leaf.params[name] if name else nothing for name in names]) for leaf in leaves]
        )
    return found


@explained()
def attributes(layer: RecurrentLayer | Stack | Bidirectional) -> dict[str, Any]:
    """Attributes of the operator that computes what `layer` does.

    Examples
    --------
    >>> attributes(Recurrent("rnn_relu", 2, 3))
    {'hidden_size': 3, 'direction': 'forward', 'activations': ['Relu']}
    """
    leaves = _directions(layer)
    _, own, _ = _TABLE[leaves[0].cell.name]
    direction = "bidirectional" if len(leaves) == 2 else "forward"
    activations: dict[str, Any] = {"activations": [*own["activations"]] * len(leaves)}
    if leaves[0].cell.name in HARD:
        numbers = {"activation_alpha": slope_of(leaves[0]), "activation_beta": 0.5}
        activations |= {name: [number] * len(leaves) for name, number in numbers.items()}
    return {"hidden_size": leaves[0].hidden_size, "direction": direction} | own | activations


def slope_of(layer: RecurrentLayer) -> float:
    """The slope of a cell of `HARD`."""
    return float(layer.cell.contract.options["slope"])


def cell_of(
    operator: str, peepholes: bool, asked: dict[str, Any], functions: Sequence[tuple[str, float, float]]
) -> str:
    """The cell of `CELLS` or `HARD` that computes what a node asks for, ``""`` if none does.

    Parameters
    ----------
    operator : {"LSTM", "GRU", "RNN"}
    peepholes : bool
        Whether it has P.
    asked : dict
        ``input_forget`` or ``linear_before_reset``.
    functions : sequence of (str, float, float)
        Its activations with alpha and beta, of one direction.
    """
    names = tuple(name for name, _, _ in functions)
    for name, alpha, beta in functions:
        if (name == "Affine" and (alpha, beta) != (1, 0)) or (name == "HardSigmoid" and beta != 0.5):
            return ""
    wanted = asked | {"activations": names}
    fits = (
        name
        for name, (kind, own, p) in _TABLE.items()
        if kind == operator and peepholes == bool(p) and all(own.get(key, 0) == wanted[key] for key in wanted)
    )
    return next(fits, "")


IGNORED = ("hidden_size", "layout", "activation_alpha", "activation_beta")
"""Attributes that do not determine the cell; alpha and beta only matter for `Affine`."""


def _check_operator(leaves: list[Recurrent], peepholes: bool, given: dict[str, Any]) -> None:
    """Reject an operator that does not compute what the cell of the layer does; the message names one that does."""
    cell, found = leaves[0].cell.name, dict(given)
    operator, own, names = _TABLE[cell]
    if found.pop("clip", None):
        raise ValueError(f"clip={given['clip']}: no cell clips the inputs of its activations")
    direction, expected = found.pop("direction", None), "bidirectional" if len(leaves) == 2 else "forward"
    direction = direction.decode() if isinstance(direction, bytes) else direction
    if direction == "reverse" and len(leaves) == 1:
        raise ValueError("direction='reverse': load the tensors without it and run the layer on x[::-1]")
    if direction not in (None, expected):
        raise ValueError(f"direction={direction!r}, but the layer is {expected!r}: make it with bidirectional=")
    for name in found:
        if name not in (*IGNORED, *(key for _, each, _ in _TABLE.values() for key in each)):
            raise TypeError(f"the operators LSTM, GRU and RNN have no attribute {name!r}")
    if "activations" in found:
        found["activations"] = _activations(found, len(leaves))
    wanted = {name: value for name, value in found.items() if name not in IGNORED}
    if cell in HARD and "HardSigmoid" in wanted.get("activations", ()):
        _check_slope(leaves[0], given)
    if peepholes == bool(names) and all(own.get(name, 0) == value for name, value in wanted.items()):
        return
    said = ", ".join([*(f"{name}={value!r}" for name, value in wanted.items()), "P" if peepholes else "no P"])
    asked = {"activations": own["activations"]} | wanted
    right = [
        name
        for name, (kind, each, p) in _TABLE.items()
        if kind == operator and peepholes == bool(p) and all(each.get(key, 0) == asked[key] for key in asked)
    ]
    called = [f"{_KERAS}.{hard_sigmoid.CELLS[n].__name__}" if n in HARD else repr(n) for n in right]
    cure = f"make the layer with the cell {' or '.join(called)}" if right else "no cell computes that"
    raise ValueError(f"the operator has {said}, but the layer has the cell {cell!r}: {cure}")


def _check_slope(layer: Recurrent, given: dict[str, Any]) -> None:
    """`ValueError` for another line than that of the cell; numbers of a file are of float32."""
    alphas, betas = ({*given.get(f"activation_{name}", usual)} for name, usual in (("alpha", (0.2,)), ("beta", (0.5,))))
    if betas != {0.5}:
        raise ValueError(f"HardSigmoid: beta={sorted(betas)}, but {layer.cell.name!r} has 0.5: no cell computes that")
    if {np.float32(each) for each in alphas} != {np.float32(slope_of(layer))}:
        cure = f"make the layer with slope={min(alphas):.6g}"
        raise ValueError(f"HardSigmoid: alpha={sorted(alphas)}, but the layer has slope={slope_of(layer)}: {cure}")


def _activations(given: dict[str, Any], directions: int) -> tuple[str, ...]:
    """Names of the activations of one direction."""
    names = [name.decode() if isinstance(name, bytes) else name for name in given["activations"]]
    count = len(names) // directions
    alike = len(names) == count * directions and names == names[:count] * directions
    usual = {*given.get("activation_alpha", [1])} <= {1} and {*given.get("activation_beta", [0])} <= {0}
    if not alike or ("Affine" in names and not usual):
        raise ValueError(
            f"activations={names}, which differ by direction or have an alpha or beta: no cell computes that"
        )
    known = {name.lower(): name for _, each, _ in _TABLE.values() for name in each["activations"]}
    return tuple(known.get(name.lower(), name) for name in names[:count])


def _directions(layer: Any) -> list[Recurrent]:
    rows = directions_of("onnx", layer)
    if len(rows) > 1:
        raise ValueError(f"an ONNX operator has one layer, got {len(rows)}: convert stack.layers one by one")
    return rows[0]
