"""`cell_of`: the cell that a layer of Keras computes, from the configuration that it or its file has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pylstm.checks import quoted
from pylstm.interop.hard_sigmoid import CELLS

RECURRENT = ("LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU")
"""Classes of layers that are read."""


def slope_of(version: Any) -> float:
    """The slope of ``hard_sigmoid`` in a version of Keras.

    Examples
    --------
    >>> slope_of("2.2.4-tf"), round(slope_of("3.15.1"), 4)
    (0.2, 0.1667)
    """
    return 0.2 if str(version).startswith(("1.", "2.")) else 1 / 6


def cell_of(kind: str, config: Mapping[str, Any], version: Any) -> tuple[str, dict[str, float]]:
    """Name of the cell, and its options, of a layer of the class `kind`.

    Raises
    ------
    ValueError
        No cell computes that; the steps go backwards.

    Examples
    --------
    >>> cell_of("GRU", {"recurrent_activation": "hard_sigmoid"}, "2.2.4")
    ('gru_reset_before_hard_sigmoid', {'slope': 0.2})
    """
    name = quoted(config.get("name", kind))
    if config.get("go_backwards"):
        raise ValueError(
            f"{name} has go_backwards=True: load the weights of the layer alone, load_weights(layer, weights), and "
            "pass the steps in reverse, x[:, ::-1]"
        )
    activation = config.get("activation", "tanh")
    if kind == "SimpleRNN":
        if activation not in ("tanh", "relu"):
            raise ValueError(f"{name} has activation={quoted(activation)}, those with a cell are 'tanh', 'relu': {OWN}")
        return f"rnn_{activation}", {}
    gates = "sigmoid" if kind.startswith("CuDNN") else config.get("recurrent_activation", _default(version))
    if activation != "tanh" or gates not in ("sigmoid", "hard_sigmoid"):
        raise ValueError(
            f"{name} has activation={quoted(activation)}, recurrent_activation={quoted(gates)}; those with a cell are "
            f"'tanh', and 'sigmoid' or 'hard_sigmoid': {OWN}"
        )
    cell = kind.removeprefix("CuDNN").lower()
    if kind == "GRU" and not config.get("reset_after", not str(version).startswith(("1.", "2."))):
        cell = "gru_reset_before"
    return (f"{cell}_hard_sigmoid", {"slope": slope_of(version)}) if gates == "hard_sigmoid" else (cell, {})


OWN = "write the cell in a few lines, and give it the weights by name"


def _default(version: Any) -> str:
    """The activation of the gates where a configuration does not say it."""
    return "hard_sigmoid" if str(version).startswith(("1.", "2.0", "2.1", "2.2")) else "sigmoid"


def check_cell(layer: Any, cell: str, options: Mapping[str, float], name: str) -> None:
    """Refuse weights of another cell than that of `layer`, or of other options.

    Raises
    ------
    ValueError
        Says which cell is right.
    """
    ours = layer.cell
    same = all(abs(ours.options[key] - value) < 1e-9 for key, value in options.items() if key in ours.options)
    if ours.name != cell or not same:
        slope = "".join(f", {key}={value:.12g}" for key, value in options.items())
        right = f"pylstm.interop.keras.{CELLS[cell].__name__}" if cell in CELLS else repr(cell)
        raise ValueError(
            f"{name} computes what the cell {cell!r} does, but the layer has {ours.name!r}: make it with "
            f"Recurrent({right}, ...{slope})"
        )
