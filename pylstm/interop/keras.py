"""Weights of ``keras.layers.LSTM``, ``GRU`` and ``SimpleRNN``, as ``get_weights`` returns them. Keras is not needed.

There matrices are transposed, (inputs, gates times units). ``GRU(reset_after=True)``, the default, is our cell ``gru``
and has two biases; ``reset_after=False`` is ``gru_reset_before``. ``Bidirectional`` has the weights of the forward
layer, then those of the backward layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import as_array, check_array
from pylstm.hints import explained
from pylstm.interop.weights import directions_of, read_weights, refuse_other_kind, shapes_of, write_weights
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack

__all__ = ["get_weights", "load_weights"]


@explained()
def load_weights(layer: Recurrent | Stack | Bidirectional, weights: Any) -> None:
    """Set the parameters of `layer` from the weights of a Keras layer; all is checked before anything is set.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack
        With the cell ``lstm``, ``gru``, ``gru_reset_before``, ``rnn_tanh`` or ``rnn_relu``.
    weights : list of array_like, or a Keras layer
        Of every layer and direction: kernel (I, G H), recurrent kernel (H, G H), and with a bias (G H,), of ``gru``
        (2, G H). A stack takes those of its layers one after the other. Of the dtype of `layer`; columns i, f, g, o
        of LSTM, z, r, n of GRU.

    Raises
    ------
    TypeError
        A cell that Keras does not have; another dtype.
    ValueError
        Weights of another kind of layer; another number of arrays, another shape.

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
    weights = weights.get_weights() if callable(getattr(weights, "get_weights", None)) else weights
    if len(weights) > 1:
        recurrent = np.asarray(weights[1])
        refuse_other_kind("keras", leaves[0], "weights are", recurrent.T, len(recurrent) if recurrent.ndim else 0)
    if len(weights) != each * len(leaves):
        raise ValueError(
            f"weights must be {each * len(leaves)} arrays, {each} for each layer and direction "
            f"(bias={leaves[0].bias}), got {len(weights)}"
        )
    values = []
    for k, leaf in enumerate(leaves):
        kernel, recurrent, *bias = (
            as_array(f"weights[{each * k + j}]", array) for j, array in enumerate(weights[each * k : each * (k + 1)])
        )
        if bias:
            rows = shapes_of("keras", leaf)[2]
            shape = (2, *rows) if _two_biases(leaf) else rows
            bias = list(np.atleast_2d(check_array(f"weights[{each * k + 2}]", bias[0], shape, leaf.dtype)))
        values.append(
            read_weights("keras", leaf, f"layer {k}: transposed kernel", (kernel.T, recurrent.T), tuple(bias))
        )
    for leaf, found in zip(leaves, values):
        leaf.params.update(found)


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
    return layer.cell.name == "gru"
