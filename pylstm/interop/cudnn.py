"""Parameters of cuDNN's LSTM, GRU and plain RNN in one buffer, as cuDNN, ``jax.experimental.rnn`` and MXNet hold them.

Neither cuDNN nor a GPU is needed. The buffer is one vector: of each layer, and in it of each direction, forward before
reverse, the matrices for x, then those for h, by rows, each a block of H rows for every gate; then, in the same order
of layers and directions, the biases for x, then those for h. Gates are i, f, g, o of LSTM, r, z, n of GRU, whose reset
gate comes after the product. So PyTorch lays out the weights of ``nn.LSTM``, ``GRU`` and ``RNN`` on a GPU
(``flatten_parameters``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.checks import as_array
from pylstm.hints import absent, explained
from pylstm.interop.taking import Widening, take
from pylstm.interop.weights import directions_of, projection_of, read_weights, shapes_of, write_weights
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack

__all__ = ["buffer", "load_buffer"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)


@explained()
def load_buffer(
    layer: Recurrent | Stack | Bidirectional, buffer: Any, *, check: Any = None, allow_nonfinite: bool = False
) -> None:
    """Set the parameters of `layer` from cuDNN's buffer; all is checked before anything is set.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack
        With the cell ``lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu``, one hidden size, and in every layer as many
        directions.
    buffer : array_like, shape (N,)
        Of the dtype of `layer` or of half precision. Of a layer without bias it has none (``CUDNN_RNN_NO_BIAS``),
        otherwise two for each gate (``CUDNN_RNN_DOUBLE_BIAS``, the default of cuDNN).
    check, allow_nonfinite
        As for `pylstm.interop.torch.load_state_dict`.

    Raises
    ------
    TypeError
        A cell that cuDNN does not have; a projection; another dtype.
    ValueError
        Another length than the layer needs; NaN or infinite weights; other outputs than those of `check`.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Recurrent("lstm", 2, 3, seed=0)
    >>> load_buffer(layer, np.arange(84, dtype="float32"))
    >>> layer.params["weight_x"][:2], layer.params["bias"][0]  # 60 + 72
    (array([[0., 1.],
           [2., 3.]], dtype=float32), np.float32(132.0))
    """
    leaves = _leaves(layer)
    shapes = [_shapes(leaf) for leaf in leaves]
    flat = as_array("buffer", buffer) if not hasattr(buffer, "detach") else buffer
    _check_length(leaves, shapes, flat)
    widening = Widening(leaves[0].dtype, allow_nonfinite)
    rest = widening("buffer", flat, (sum(map(_size, shapes)),))
    values: list[list[np.ndarray]] = [[] for _ in leaves]
    for part in (slice(2), slice(2, None)):  # all matrices, then all biases
        for found, own in zip(values, shapes):
            for shape in own[part]:
                piece, rest = np.split(rest, [int(np.prod(shape))])
                found.append(piece.reshape(shape))
    read = [
        read_weights("torch", leaf, f"buffer: layer {k}", (for_x, for_h), tuple(biases))
        for k, (leaf, (for_x, for_h, *biases)) in enumerate(zip(leaves, values))
    ]
    widening.say("buffer")
    take(layer, leaves, read, check)


@explained()
def buffer(layer: Recurrent | Stack | Bidirectional) -> np.ndarray:
    """The buffer of the cuDNN layers that compute what `layer` does; the inverse of `load_buffer`.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack
        As for `load_buffer`.

    Returns
    -------
    ndarray, shape (N,)
        New, of the layer's dtype.

    Raises
    ------
    TypeError, ValueError
        A layer that cuDNN does not have.

    Examples
    --------
    >>> buffer(Recurrent("gru", 2, 3, bias=False)).shape
    (45,)
    """
    arrays = [write_weights("torch", leaf) for leaf in _leaves(layer)]
    parts = [each for own in arrays for each in own[:2]] + [each for own in arrays for each in own[2:]]
    return np.concatenate([each.ravel() for each in parts])


def _leaves(layer: Any) -> list[Recurrent]:
    """The single layers, in cuDNN's order."""
    leaves = [leaf for row in directions_of("torch", layer) for leaf in row]
    if projection_of(leaves[0]):
        raise TypeError(
            f"the buffer of a projection is not read, got {layer!r}: take its matrices by cudnnGetRNNWeightParams, and "
            "pass them to pylstm.interop.torch.load_state_dict"
        )
    return leaves


def _shapes(layer: Recurrent) -> list[tuple[int, ...]]:
    """Shapes of the matrices for x and for h, and of the biases, if there are some."""
    for_x, for_h, bias = shapes_of("torch", layer)
    return [for_x, for_h, *[bias] * (2 * layer.bias)]


def _size(shapes: list[tuple[int, ...]]) -> int:
    return sum(int(np.prod(shape)) for shape in shapes)


def _check_length(leaves: list[Recurrent], shapes: list[Any], flat: Any) -> None:
    """`ValueError` that says what a buffer of another length may be of."""
    got = tuple(getattr(flat, "shape", ()))
    biases = sum(int(np.prod(own[1][:1])) for own in shapes)
    matrices = sum(_size(own[:2]) for own in shapes)
    needed = matrices + 2 * biases * leaves[0].bias
    if got == (needed,):
        return
    cures = {
        matrices: "it has no biases: make the layer with bias=False",
        matrices + biases: "it has one bias for each gate: cuDNN makes two by CUDNN_RNN_DOUBLE_BIAS",
        matrices + 2 * biases: "it has biases: make the layer with bias=True",
    }
    cure = cures.get(got[0], "of other sizes, or of another kind") if len(got) == 1 else "pass one vector"
    raise ValueError(
        f"buffer must have shape ({needed},) for {len(leaves)} layers and directions such as {leaves[0]!r}, got {got}: "
        f"{cure}"
    )
