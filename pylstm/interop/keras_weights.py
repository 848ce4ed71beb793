"""`load_weights` and `get_weights`: arrays in the order of Keras' layers, and of those of cuDNN."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import as_array
from pylstm.hints import explained
from pylstm.interop.keras_configs import cell_of, check_cell, inner_of
from pylstm.interop.taking import Widening, take
from pylstm.interop.weights import directions_of, read_weights, refuse_other_kind, shapes_of, write_weights
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack

CUDNN = ("lstm", "gru")
"""Cells that cuDNN computes."""


@explained()
def load_weights(
    layer: Recurrent | Stack | Bidirectional, weights: Any, *, check: Any = None, allow_nonfinite: bool = False
) -> None:
    """Set the parameters of `layer` from the weights of a Keras layer; all is checked before anything is set.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack
        With the cell ``lstm``, ``gru``, ``gru_reset_before``, ``rnn_tanh`` or ``rnn_relu``, or with
        `LSTMHardSigmoid`, `GRUHardSigmoid`, `GRUResetBeforeHardSigmoid`: arrays do not tell the activation of gates.
    weights : list of array_like, or a Keras layer
        Of every layer and direction: kernel (I, G H), recurrent kernel (H, G H), and with a bias (G H,), of ``gru``
        (2, G H). A stack takes those of its layers one after the other. Of the dtype of `layer`; columns i, f, g, o
        of LSTM, z, r, n of GRU. Of ``CuDNNLSTM`` and ``CuDNNGRU`` the bias is (8 H,) and (6 H,). Arrays of float16 and
        bfloat16 are converted, exactly, with a warning that says so.
    check, allow_nonfinite
        As for `pylstm.interop.torch.load_state_dict`; `check` is of Keras with ``return_sequences=True``.

    Raises
    ------
    TypeError
        A cell that Keras does not have; another dtype; neither arrays nor a layer.
    ValueError
        Weights of another kind of layer; a Keras layer that computes what another cell does, or in its backward layer
        something else than in the forward one, or that has no weights yet; another number of arrays, another shape;
        NaN or infinite weights; other outputs than those of `check`.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Recurrent("gru", 2, 3, seed=0)
    >>> load_weights(layer, [np.ones((2, 9), "f4"), np.ones((3, 9), "f4"), np.ones((2, 9), "f4")])
    >>> layer.params["bias"]  # r, z, m, n: both biases of r and z are added
    array([2., 2., 2., 2., 2., 2., 1., 1., 1., 1., 1., 1.], dtype=float32)
    """
    leaves = [leaf for row in directions_of("keras", layer) for leaf in row]
    each = 3 if leaves[0].bias else 2
    if callable(getattr(weights, "get_weights", None)):
        _check_config(leaves[0], weights)
        weights = _arrays_of(weights)
    if not isinstance(weights, list | tuple | np.ndarray):
        raise TypeError(f"weights must be a list of arrays or a layer of Keras, got {type(weights).__name__}")
    if len(weights) > 1:
        recurrent = as_array("weights[1]", weights[1])
        refuse_other_kind("keras", leaves[0], "weights are", recurrent.T, len(recurrent) if recurrent.ndim else 0)
    if len(weights) != each * len(leaves):
        raise ValueError(
            f"weights must be {each * len(leaves)} arrays, {each} for each layer and direction "
            f"(bias={leaves[0].bias}), got {len(weights)}"
        )
    widening = Widening(leaves[0].dtype, allow_nonfinite)
    values = [_read(leaf, weights, each * k, widening) for k, leaf in enumerate(leaves)]
    widening.say("weights")
    take(layer, leaves, values, check)


def _check_config(layer: Recurrent, theirs: Any) -> None:
    """Refuse a layer of Keras that computes what another cell than that of `layer` does."""
    config = theirs.get_config() if callable(getattr(theirs, "get_config", None)) else {}
    kind = type(theirs).__name__
    if callable(getattr(theirs, "get_layer", None)):
        raise ValueError(f"weights are of a whole model, {kind}: pass one of its layers, model.get_layer(name)")
    if not config:
        return
    version = "2" if type(theirs).__module__.partition(".")[0] == "tf_keras" else "3"
    name = config.get("name", kind)
    kind, config = inner_of(kind, config, version)
    check_cell(layer, *cell_of(kind, config, version), f"the layer {name} of Keras")


def _arrays_of(theirs: Any) -> Any:
    """The arrays of a layer of Keras that has some."""
    arrays = theirs.get_weights()
    if not len(arrays):
        name = getattr(theirs, "name", type(theirs).__name__)
        raise ValueError(f"the layer {name} of Keras has no weights yet: build it, by calling it once on its input")
    return arrays


def _read(layer: Recurrent, weights: Any, first: int, widening: Widening) -> dict[str, np.ndarray]:
    """Our parameters from the arrays that begin at `first`."""
    (rows, inputs), (_, width), (columns,) = shapes_of("keras", layer)
    kernel = widening(f"weights[{first}]", weights[first], (inputs, rows))
    recurrent = widening(f"weights[{first + 1}]", weights[first + 1], (width, rows))
    biases: tuple[np.ndarray, ...] = ()
    if layer.bias:
        name, given = f"weights[{first + 2}]", weights[first + 2]
        if np.shape(given) == (2 * columns,):
            kernel, recurrent = _of_cudnn(layer, kernel), _of_cudnn(layer, recurrent)
            biases = tuple(np.split(widening(name, given, (2 * columns,)), 2))
        else:
            shape = (2, columns) if _two_biases(layer) else (columns,)
            biases = tuple(np.atleast_2d(widening(name, given, shape)))
    return read_weights("keras", layer, f"weights[{first}]", (kernel.T, recurrent.T), biases)


def _of_cudnn(layer: Recurrent, kernel: np.ndarray) -> np.ndarray:
    """A kernel of Keras from one of cuDNN, whose memory holds the block of each gate transposed.

    Raises
    ------
    ValueError
        The cell is not cuDNN's.
    """
    if layer.cell.name not in CUDNN:
        raise ValueError(
            f"weights are of a CuDNN layer (two biases in one array), but the layer has the cell {layer.cell.name!r}: "
            f"make it with one of {', '.join(CUDNN)}, whose reset gate, if there is one, comes after the product"
        )
    hidden = layer.hidden_size
    blocks = np.split(kernel, kernel.shape[1] // hidden, axis=1)
    return np.concatenate([block.reshape(hidden, -1).T for block in blocks], axis=1)


@explained()
def get_weights(layer: Recurrent | Stack | Bidirectional) -> list[np.ndarray]:
    """The weights of the Keras layer that computes what `layer` does; the inverse of `load_weights`.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack

    Returns
    -------
    list of ndarray
        New arrays, for ``set_weights``.

    Examples
    --------
    >>> [array.shape for array in get_weights(Recurrent("gru", 2, 3))]
    [(2, 9), (3, 9), (2, 9)]
    """
    weights = []
    for leaf in (leaf for row in directions_of("keras", layer) for leaf in row):
        for_x, for_h, *biases = write_weights("keras", leaf)
        weights += [np.ascontiguousarray(for_x.T), np.ascontiguousarray(for_h.T)]
        if biases:
            weights.append(np.stack(biases) if _two_biases(leaf) else biases[0])
    return weights


def _two_biases(layer: Recurrent) -> bool:
    return "m" in layer.cell.contract.gates
