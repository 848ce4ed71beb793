"""Inputs W, R and B of the ONNX operators ``LSTM``, ``GRU`` and ``RNN``. No ONNX library is needed.

``GRU`` with ``linear_before_reset=1`` is our cell ``gru``, with 0, the default, ``gru_reset_before``. ONNX has one
operator for each layer: of a stack, take the layers one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.interop.weights import directions_of, read_weights, shapes_of, write_weights
from pylstm.layers.parameters import check_array
from pylstm.layers.recurrent import Recurrent


def load_tensors(layer: Any, W: Any, R: Any, B: Any = None) -> None:
    """Set the parameters of `layer` from the inputs of an ONNX operator; all is checked before anything is set.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack of one layer
        With the cell ``lstm``, ``gru``, ``gru_reset_before``, ``rnn_tanh`` or ``rnn_relu``.
    W : array_like, shape (directions, G H, I)
        Of the dtype of `layer`; rows i, o, f, g of LSTM, z, r, n of GRU.
    R : array_like, shape (directions, G H, H)
    B : array_like, shape (directions, 2 G H), optional
        Those for x, then those for h. Needed if and only if the layer has a bias.

    Raises
    ------
    TypeError
        A cell that ONNX does not have; another dtype.
    ValueError
        Another shape; several layers; a bias for a layer that has none, or none for one that has.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Recurrent("rnn_tanh", 2, 3, seed=0)
    >>> load_tensors(layer, np.ones((1, 3, 2), "f4"), np.ones((1, 3, 3), "f4"), np.ones((1, 6), "f4"))
    >>> layer.params["bias"]
    array([2., 2., 2.], dtype=float32)
    """
    leaves = _directions(layer)
    if (B is not None) != leaves[0].bias:
        raise ValueError(f"the layer has bias={leaves[0].bias}, but B is {'given' if B is not None else 'not given'}")
    for_x, for_h, (rows,) = shapes_of("onnx", leaves[0])
    arrays = [
        check_array(name, array, (len(leaves), *shape), leaves[0].dtype)
        for name, array, shape in (("W", W, for_x), ("R", R, for_h), ("B", B, (2 * rows,)))
        if array is not None
    ]
    values = [
        read_weights("onnx", leaf, "W and R", (w, r), tuple(np.split(b[0], 2)) if b else ())
        for leaf, w, r, *b in zip(leaves, *arrays)
    ]
    for leaf, found in zip(leaves, values):
        leaf.params.update(found)


def tensors(layer: Any) -> dict[str, np.ndarray]:
    """W, R and B of the operator that computes what `layer` does; the inverse of `load_tensors`.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack of one layer

    Returns
    -------
    dict of str to ndarray
        ``W``, ``R``, and with a bias ``B``: new arrays. Attributes of the operator: ``hidden_size``,
        ``direction="bidirectional"`` of two directions, ``linear_before_reset=1`` of ``gru``, ``activations=["Relu"]``
        (of each direction) of ``rnn_relu``.

    Examples
    --------
    >>> {name: array.shape for name, array in tensors(Recurrent("lstm", 2, 3)).items()}
    {'W': (1, 12, 2), 'R': (1, 12, 3), 'B': (1, 24)}
    """
    parts = [write_weights("onnx", leaf) for leaf in _directions(layer)]
    found = {"W": np.stack([part[0] for part in parts]), "R": np.stack([part[1] for part in parts])}
    if len(parts[0]) > 2:
        found["B"] = np.stack([np.concatenate(part[2:]) for part in parts])
    return found


def _directions(layer: Any) -> list[Recurrent]:
    rows = directions_of("onnx", layer)
    if len(rows) > 1:
        raise ValueError(f"an ONNX operator has one layer, got {len(rows)}: take stack.layers one by one")
    return rows[0]
