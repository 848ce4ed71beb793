"""Parameters of ``torch.nn.LSTM``, ``GRU`` and ``RNN``, of any number of layers and directions, and of their cells.

torch is not needed; safetensors files are read, too.

How two biases become one, and back: see `pylstm.interop.weights`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.checks import check_flag
from pylstm.hints import absent, explained
from pylstm.interop.taking import Widening, take
from pylstm.interop.tensor_files import state_of
from pylstm.interop.weights import (
    directions_of,
    projection_of,
    read_weights,
    refuse_other_kind,
    shapes_of,
    write_weights,
)
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack

__all__ = ["load_state_dict", "state_dict"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)

STEMS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
PROJECTION = "weight_hr"
KEYS = {*STEMS, *(f"{stem}_l0" for stem in STEMS)}
"""Names in the state dict of a cell, and of the first layer of a module."""
KEY = re.compile(r"(weight|bias)_(ih|hh|hr)(_l\d+)?(_reverse)?$")


@explained()
def load_state_dict(
    layer: Recurrent | Stack | Bidirectional,
    state_dict: Any,
    *,
    prefix: str = "",
    check: Any = None,
    allow_nonfinite: bool = False,
) -> None:
    """Set the parameters of `layer` from the state dict of a torch layer; all is checked before anything is set.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack
        With the cell ``lstm``, ``lstmp`` (an LSTM with `proj_size`), ``gru``, ``rnn_tanh`` or ``rnn_relu``, one hidden
        size, and in every layer as many directions.
    state_dict : dict of str to array or tensor, a torch module, or the path of a safetensors file
        Of ``nn.LSTM``, ``GRU`` or ``RNN``, or of ``LSTMCell``, ``GRUCell`` or ``RNNCell`` (without the suffix ``_l0``):
        ``weight_ih_l0`` (G H, I), ``weight_hh_l0`` (G H, H), and with a bias ``bias_ih_l0``, ``bias_hh_l0`` (G H,),
        of the dtype of `layer`; rows i, f, g, o of LSTM, r, z, n of GRU. With a projection ``weight_hh_l0`` (G H, P)
        and ``weight_hr_l0`` (P, H). Of layer k ``..._lk``, of the reverse direction ``..._lk_reverse``. What is of
        float16 or bfloat16 is converted, exactly, with a warning that says so.
    prefix : str
        Only the keys that begin with it are read, such as ``"encoder.rnn."`` of a larger model.
    check : pair of array_like, optional
        Inputs, laid out for `layer`, and what torch computes of them from initial states of 0: with other outputs than
        these the layer is left as it was.
    allow_nonfinite : bool
        Whether weights may be NaN or infinite, which are refused otherwise.

    Raises
    ------
    OSError
        The file cannot be read.
    TypeError
        Cells that torch does not have; another dtype; neither a dict, a module nor a path.
    ValueError
        Weights of another kind of layer, or of a module with another `nonlinearity`; NaN or infinite weights; missing
        or unexpected keys, another number of layers or directions, a projection in one of both, another shape; no key
        with this prefix; other outputs than those of `check`.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Recurrent("lstm", 2, 3, seed=0)
    >>> state = {"rnn.weight_ih": np.ones((12, 2), "f4"), "rnn.weight_hh": np.ones((12, 3), "f4"),
    ...          "rnn.bias_ih": np.ones(12, "f4"), "rnn.bias_hh": np.ones(12, "f4")}
    >>> load_state_dict(layer, state, prefix="rnn.")
    >>> layer.params["bias"][0]
    np.float32(2.0)
    """
    leaves, state = _leaves(layer), _as_state(state_dict, prefix)
    _refuse_other_kind(leaves["_l0"], state)
    _check_keys(leaves, state, prefix)
    _check_nonlinearity(leaves["_l0"], state_dict, prefix)
    widening, values = Widening(leaves["_l0"].dtype, allow_nonfinite), []
    for suffix, leaf in leaves.items():
        for_x, for_h, bias = shapes_of("torch", leaf)
        shapes = dict(zip(STEMS, (for_x, for_h, bias, bias))) | {PROJECTION: (leaf.output_size, leaf.hidden_size)}
        arrays = {
            stem: widening(f"state_dict[{stem + suffix!r}]", state[stem + suffix], shapes[stem])
            for stem in _stems(leaf)
        }
        projection = arrays.pop(PROJECTION, None)
        w_ih, w_hh, *biases = arrays.values()
        values.append(read_weights("torch", leaf, f"state_dict: {suffix}", (w_ih, w_hh), tuple(biases), projection))
    widening.say("state_dict")
    take(layer, list(leaves.values()), values, check)


@explained()
def state_dict(layer: Recurrent | Stack | Bidirectional, *, cell: bool = False) -> dict[str, np.ndarray]:
    """The state dict of the torch layer that computes what `layer` does; the inverse of `load_state_dict`.

    A bias whose gate is fed by x stands in ``bias_ih_l0`` (with zeros in ``bias_hh_l0`` where the gate is fed by h
    too), that of the GRU's ``m`` in ``bias_hh_l0``. torch has no residual stacks: of such, these are the parameters.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack
        As for `load_state_dict`.
    cell : bool
        Whether it is to be that of ``LSTMCell``, ``GRUCell`` or ``RNNCell``, for one layer of one direction.

    Returns
    -------
    dict of str to ndarray
        New arrays of the layer's dtype; ``torch.from_numpy`` makes tensors of them.

    Raises
    ------
    TypeError, ValueError
        A layer that torch does not have.

    Examples
    --------
    >>> {key: array.shape for key, array in state_dict(Recurrent("lstm", 2, 3, bias=False)).items()}
    {'weight_ih_l0': (12, 2), 'weight_hh_l0': (12, 3)}
    """
    state: dict[str, np.ndarray] = {}
    leaves = _leaves(layer)
    if check_flag("cell", cell) and (len(leaves) > 1 or projection_of(leaves["_l0"])):
        raise ValueError(
            f"cell=True is for one layer of one direction without projection, got {layer!r}: convert the layers of a "
            "stack one by one, stack.layers[0]"
        )
    for suffix, leaf in leaves.items():
        suffix = "" if cell else suffix
        state |= {stem + suffix: array for stem, array in zip(STEMS, write_weights("torch", leaf))}
        projection = projection_of(leaf)
        if projection:
            state[PROJECTION + suffix] = leaf.params[projection].copy()
    return state


def _as_state(state: Any, prefix: str) -> dict[Any, Any]:
    """A state dict without prefix, of a cell with the keys of a layer."""
    return {f"{key}_l0" if key in STEMS else key: value for key, value in state_of(state, prefix).items()}


def _refuse_other_kind(layer: Recurrent, state: Mapping[str, Any]) -> None:
    recurrent, projection = state.get("weight_hh_l0"), state.get(f"{PROJECTION}_l0")
    hidden = (getattr(recurrent if projection is None else projection, "shape", ()) or (0,))[-1]
    refuse_other_kind("torch", layer, "state_dict is", recurrent, hidden)


def _check_nonlinearity(layer: Recurrent, module: Any, prefix: str) -> None:
    """Refuse an ``RNN`` or ``RNNCell`` of another activation; a state dict does not tell it."""
    part: Any = module
    for name in prefix.split(".")[:-1] if callable(getattr(module, "state_dict", None)) else ():
        part = getattr(part, name, None)
    theirs = getattr(part, "nonlinearity", None)
    if theirs in ("tanh", "relu") and layer.cell.name != f"rnn_{theirs}":
        raise ValueError(
            f"the module has nonlinearity={theirs!r}, but the layer has the cell {layer.cell.name!r}: make it with "
            f"Recurrent('rnn_{theirs}', ...)"
        )


def _leaves(layer: Any) -> dict[str, Recurrent]:
    """Suffix of the keys -> single layer."""
    return {
        f"_l{k}" + "_reverse" * reverse: leaf
        for k, row in enumerate(directions_of("torch", layer))
        for reverse, leaf in enumerate(row)
    }


def _stems(layer: Recurrent) -> tuple[str, ...]:
    stems = STEMS if layer.bias else STEMS[:2]
    return (*stems, PROJECTION) if projection_of(layer) else stems


def _check_keys(leaves: Mapping[str, Recurrent], state: Mapping[str, Any], prefix: str) -> None:
    first = leaves["_l0"]
    expected = {stem + suffix for suffix in leaves for stem in _stems(first)}
    missing, unexpected = sorted(expected - state.keys()), sorted(map(str, state.keys() - expected))
    if not missing and not unexpected:
        return
    if not any(KEY.search(str(key)) for key in state):
        got = f"only {', '.join(map(str, [*state][:5]))}" if state else "nothing"
        raise ValueError(
            f"state_dict has no weights of a recurrent layer, such as 'weight_ih_l0', but {got}: pass that of a "
            "torch.nn.LSTM, GRU or RNN, or of a model which holds one"
        )
    theirs_projects = any(str(key).startswith(PROJECTION) for key in state)
    if theirs_projects and not projection_of(first):
        raise ValueError(
            f"state_dict has a projection, but the layer has none: make it with LSTM(..., proj_size=): {unexpected}"
        )
    if projection_of(first) and state and not theirs_projects:
        raise ValueError(f"state_dict has no projection, but the layer has one: make it without proj_size: {missing}")
    layers, theirs = len({suffix.split("_")[1] for suffix in leaves}), _count(state)
    if theirs and theirs != layers:
        raise ValueError(
            f"state_dict holds {theirs} layers, but the layer has num_layers={layers}: missing keys {missing}, "
            f"unexpected keys {unexpected}"
        )
    both, reverse = "_l0_reverse" in leaves, any(str(key).endswith("_reverse") for key in state)
    if both != reverse:
        raise ValueError(
            f"state_dict holds {1 + reverse} direction{'s' * reverse}, but the layer has bidirectional={both}: missing "
            f"keys {missing}, unexpected keys {unexpected}"
        )
    raise ValueError(
        f"state_dict: missing keys {missing}, unexpected keys {unexpected}{_cure(first, missing, unexpected, prefix)}"
    )


def _cure(layer: Recurrent, missing: list[str], unexpected: list[str], prefix: str) -> str:
    """What may be done about these keys."""
    parts = [key.rpartition(".") for key in unexpected]
    prefixes = {f"{prefix}{before}." for before, dot, key in parts if dot and key in KEYS}
    if prefixes:
        return f"; pass prefix={' or prefix='.join(map(repr, sorted(prefixes)[:5]))}"
    if any({"bias_ih_l0", "bias_hh_l0"} <= {*keys} for keys in (missing, unexpected)):
        return f"; the layer was made with bias={layer.bias}"
    return ""


def _count(state: Mapping[str, Any]) -> int:
    """Number of layers that the keys of a state dict tell."""
    found = [re.fullmatch(r"(?:weight|bias)_(?:ih|hh|hr)_l(\d+)(?:_reverse)?", str(key)) for key in state]
    return 1 + max((int(match[1]) for match in found if match), default=-1)
