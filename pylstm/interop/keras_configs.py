"""`cell_of`: the cell that a layer of Keras computes, from the configuration that it or its file has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pylstm.cells.hard_sigmoid import CELLS
from pylstm.checks import quoted

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


def inner_of(kind: str, config: Mapping[str, Any], version: Any) -> tuple[str, Mapping[str, Any]]:
    """Class and configuration of the recurrent layer: of a ``Bidirectional`` those of its forward layer.

    Raises
    ------
    ValueError
        Not a recurrent layer; another `merge_mode`; a backward layer with other settings.

    Examples
    --------
    >>> inner_of("Bidirectional", {"layer": {"class_name": "GRU", "config": {"units": 5}}}, "3")
    ('GRU', {'units': 5})
    """
    name = quoted(config.get("name", kind))
    if kind != "Bidirectional":
        if kind not in RECURRENT:
            raise ValueError(f"{name} is of the class {kind}; those that are read: {', '.join(RECURRENT)}")
        return kind, config
    if config.get("merge_mode", "concat") != "concat":
        raise ValueError(
            f"{name} has merge_mode={quoted(config['merge_mode'])}: load_weights takes its arrays for a layer "
            "with bidirectional=True, whose two outputs stand side by side"
        )
    forward, backward = config["layer"], config.get("backward_layer")
    if forward["class_name"] not in RECURRENT:
        raise ValueError(
            f"{name} is a Bidirectional of {quoted(forward['class_name'])}; those that are read: {', '.join(RECURRENT)}"
        )
    if backward:
        both = [_settings(each, version) for each in (forward, backward)]
        if both[0] != both[1]:
            raise ValueError(
                f"{name} has a backward layer with other settings than the forward one, {both[1]} and {both[0]}: load "
                "the arrays of each into a layer of its own, and join them by pylstm.Bidirectional(forward, reverse)"
            )
    return forward["class_name"], forward["config"]


def _settings(entry: Mapping[str, Any], version: Any) -> str:
    """What a direction of a ``Bidirectional`` computes, but for the order of its steps."""
    config = {key: value for key, value in entry["config"].items() if key != "go_backwards"}
    if entry["class_name"] not in RECURRENT:
        return str(entry["class_name"])
    cell, options = cell_of(entry["class_name"], config, version)
    says = options | {"units": config.get("units"), "use_bias": bool(config.get("use_bias", True))}
    return f"{cell} ({', '.join(f'{key}={value}' for key, value in says.items())})"


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
