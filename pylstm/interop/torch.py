"""Parameters of ``torch.nn.LSTM``, ``GRU`` and ``RNN``: one layer, one direction. torch itself is not needed.

torch has two biases, ``bias_ih`` and ``bias_hh``, that are added wherever a gate is fed by x and by h; there our one
bias is their sum. The candidate of the GRU has two that are not added: ``b_in`` is the bias of our gate ``n``,
``b_hn`` that of ``m``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from pylstm.interop.gate_orders import gate_order
from pylstm.layers.parameters import check_array
from pylstm.layers.recurrent import Recurrent

WEIGHTS = ("weight_ih_l0", "weight_hh_l0")
BIASES = ("bias_ih_l0", "bias_hh_l0")


def load_state_dict(layer: Recurrent, state_dict: Mapping[str, Any]) -> None:
    """Set the parameters of `layer` from the state dict of a torch layer; all is checked before anything is set.

    Parameters
    ----------
    layer : Recurrent
        With the cell ``lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu``.
    state_dict : dict of str to array or tensor
        ``weight_ih_l0`` (G H, I), ``weight_hh_l0`` (G H, H), and with a bias ``bias_ih_l0``, ``bias_hh_l0`` (G H,),
        of the dtype of `layer`; rows i, f, g, o of LSTM, r, z, n of GRU.

    Raises
    ------
    TypeError
        A cell that torch does not have; another dtype.
    ValueError
        Missing or unexpected keys, several layers, two directions, a projection, another shape.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Recurrent("lstm", 2, 3, seed=0)
    >>> state = {"weight_ih_l0": np.ones((12, 2), "f4"), "weight_hh_l0": np.ones((12, 3), "f4"),
    ...          "bias_ih_l0": np.ones(12, "f4"), "bias_hh_l0": np.ones(12, "f4")}
    >>> load_state_dict(layer, state)
    >>> layer.params["bias"][0]
    np.float32(2.0)
    """
    contract, hidden = layer.cell.contract, layer.hidden_size
    x_gates, h_gates = gate_order("torch", contract.name)
    _check_keys(layer, state_dict)
    rows = len(x_gates) * hidden
    shapes = dict(zip((*WEIGHTS, *BIASES), ((rows, layer.input_size), (rows, hidden), (rows,), (rows,))))
    arrays = {key: _array(key, state_dict[key], shapes[key], layer.dtype) for key in state_dict}
    values = {
        "weight_x": _reorder(arrays["weight_ih_l0"], x_gates, contract.gates_of("x"), hidden),
        "weight_h": _reorder(arrays["weight_hh_l0"], h_gates, contract.gates_of("h"), hidden),
    }
    if layer.bias:
        biases = {gate: np.zeros(hidden, layer.dtype) for gate in contract.biased}
        for key, gates in zip(BIASES, (x_gates, h_gates)):
            for gate, block in zip(gates, np.split(arrays[key], len(gates))):
                biases[gate] = biases[gate] + block
        values["bias"] = np.concatenate([biases[gate] for gate in contract.biased])
    layer.params.update(values)


def state_dict(layer: Recurrent) -> dict[str, np.ndarray]:
    """The state dict of the torch layer that computes what `layer` does; the inverse of `load_state_dict`.

    A bias whose gate is fed by x stands in ``bias_ih_l0`` (with zeros in ``bias_hh_l0`` where the gate is fed by h
    too), that of the GRU's ``m`` in ``bias_hh_l0``.

    Parameters
    ----------
    layer : Recurrent
        With the cell ``lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu``.

    Returns
    -------
    dict of str to ndarray
        New arrays of the layer's dtype; ``torch.from_numpy`` makes tensors of them.

    Raises
    ------
    TypeError
        A cell that torch does not have.

    Examples
    --------
    >>> {key: array.shape for key, array in state_dict(Recurrent("lstm", 2, 3, bias=False)).items()}
    {'weight_ih_l0': (12, 2), 'weight_hh_l0': (12, 3)}
    """
    contract, hidden, params = layer.cell.contract, layer.hidden_size, layer.params
    x_gates, h_gates = gate_order("torch", contract.name)
    state = {
        "weight_ih_l0": _reorder(params["weight_x"], contract.gates_of("x"), x_gates, hidden),
        "weight_hh_l0": _reorder(params["weight_h"], contract.gates_of("h"), h_gates, hidden),
    }
    if layer.bias:
        biases = dict(zip(contract.biased, np.split(params["bias"], len(contract.biased))))
        zeros = np.zeros(hidden, layer.dtype)
        state["bias_ih_l0"] = np.concatenate([biases[gate] for gate in x_gates])
        state["bias_hh_l0"] = np.concatenate([zeros if gate in x_gates else biases[gate] for gate in h_gates])
    return state


def _check_keys(layer: Recurrent, state: Mapping[str, Any]) -> None:
    expected = {*WEIGHTS, *(BIASES if layer.bias else ())}
    missing, unexpected = sorted(expected - state.keys()), sorted(map(str, state.keys() - expected))
    if not missing and not unexpected:
        return
    for pattern, what in (
        (r"_reverse\Z", "a bidirectional layer"),
        (r"_l[1-9]\d*\Z", "more than one layer"),
        (r"\Aweight_hr_", "a projection (proj_size)"),
    ):
        if any(re.search(pattern, key) for key in unexpected):
            raise ValueError(f"state_dict: {what} is not supported yet, only one layer of one direction: {unexpected}")
    hint = ""
    if any(key.endswith(tuple(f".{name}" for name in expected)) for key in unexpected):
        hint = "; take the prefix off the keys"
    elif set(BIASES) in ({*missing}, {*unexpected}):
        hint = f"; the layer was made with bias={layer.bias}"
    raise ValueError(f"state_dict: missing keys {missing}, unexpected keys {unexpected}{hint}")


def _array(key: str, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array of what may be a tensor, also one that requires a gradient."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return check_array(f"state_dict[{key!r}]", value, shape, dtype)


def _reorder(array: np.ndarray, gates: tuple[str, ...], wanted: tuple[str, ...], hidden: int) -> np.ndarray:
    """The row blocks of `array`, one for each of `gates`, in the order `wanted`."""
    blocks = dict(zip(gates, array.reshape(len(gates), hidden, *array.shape[1:])))
    return np.concatenate([blocks[gate] for gate in wanted])
