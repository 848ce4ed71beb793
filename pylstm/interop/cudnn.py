"""Parameters of cuDNN's LSTM, GRU and plain RNN in one buffer, as cuDNN, ``jax.experimental.rnn`` and MXNet hold them.

Neither cuDNN nor a GPU is needed. The buffer is one vector: of each layer, and in it of each direction, forward before
reverse, the matrices for x, then those for h, by rows, each a block of H rows for every gate; then, in the same order
of layers and directions, the biases for x, then those for h. Gates are i, f, g, o of LSTM, r, z, n of GRU, whose reset
gate comes after the product. So PyTorch lays out the weights of ``nn.LSTM``, ``GRU`` and ``RNN`` on a GPU
(``flatten_parameters``). With one bias for each gate, ``CUDNN_RNN_SINGLE_INP_BIAS`` or ``CUDNN_RNN_SINGLE_REC_BIAS``,
the second of each two is absent. The projection of an LSTM, (P, H) by rows, stands behind its matrix for h, as in
MXNet's vector of parameters.
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
    layer: Recurrent | Stack | Bidirectional,
    buffer: Any,
    *,
    bias_mode: str = "double",
    check: Any = None,
    allow_nonfinite: bool = False,
) -> None:
    """Set the parameters of `layer` from cuDNN's buffer; all is checked before anything is set.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack
        With the cell ``lstm``, ``lstmp``, ``gru``, ``rnn_tanh`` or ``rnn_relu``, one hidden size, and in every layer
        as many directions.
    buffer : array_like, shape (N,)
        Of the dtype of `layer` or of half precision. Of a layer without bias it has none (``CUDNN_RNN_NO_BIAS``).
    bias_mode : {"double", "input", "recurrent"}
        Of a layer with bias: two for each gate, cuDNN's default, or one, fed with x or with h. Only GRU tells the last
        two apart; of the others a buffer with one bias is told by its length.
    check, allow_nonfinite
        As for `pylstm.interop.torch.load_state_dict`.

    Raises
    ------
    TypeError
        A cell that cuDNN does not have; another dtype.
    ValueError
        Another `bias_mode`; another length than the layer needs; NaN or infinite weights; other outputs than those of
        `check`.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Recurrent("lstm", 2, 3, seed=0)
    >>> load_buffer(layer, np.arange(84, dtype="float32"))
    >>> layer.params["weight_x"][:2], layer.params["bias"][0]  # 60 + 72
    (array([[0., 1.],
           [2., 3.]], dtype=float32), np.float32(132.0))
    """
    leaves, fed = _leaves(layer), _check_mode(bias_mode)
    flat = as_array("buffer", buffer) if not hasattr(buffer, "detach") else buffer
    got = tuple(getattr(flat, "shape", ()))
    if fed == "xh" and leaves[0].cell.name != "gru" and got == (sum(_size(_shapes(leaf, "x")) for leaf in leaves),):
        fed = "x"
    shapes = [_shapes(leaf, fed) for leaf in leaves]
    _check_length(leaves, shapes, got, fed)
    widening = Widening(leaves[0].dtype, allow_nonfinite)
    rest = widening("buffer", flat, (sum(map(_size, shapes)),))
    values: list[list[np.ndarray]] = [[] for _ in leaves]
    for axes in (2, 1):  # all matrices, then all biases
        for found, own in zip(values, shapes):
            for shape in (each for each in own if len(each) == axes):
                piece, rest = np.split(rest, [int(np.prod(shape))])
                found.append(piece.reshape(shape))
    read = [_read(leaf, f"buffer: layer {k}", arrays, fed) for k, (leaf, arrays) in enumerate(zip(leaves, values))]
    widening.say("buffer")
    take(layer, leaves, read, check)


@explained()
def buffer(layer: Recurrent | Stack | Bidirectional, *, bias_mode: str = "double") -> np.ndarray:
    """The buffer of the cuDNN layers that compute what `layer` does; the inverse of `load_buffer`.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack
        As for `load_buffer`.
    bias_mode : {"double", "input", "recurrent"}
        As for `load_buffer`.

    Returns
    -------
    ndarray, shape (N,)
        New, of the layer's dtype.

    Raises
    ------
    TypeError, ValueError
        A layer that cuDNN does not have; a GRU with two biases in its candidate where there is one.

    Examples
    --------
    >>> buffer(Recurrent("gru", 2, 3, bias=False)).shape
    (45,)
    """
    leaves, fed = _leaves(layer), _check_mode(bias_mode)
    written = [_written(leaf, fed) for leaf in leaves]
    return np.concatenate([each.ravel() for axes in (2, 1) for own in written for each in own if each.ndim == axes])


def _check_mode(bias_mode: str) -> str:
    """Which inputs of a layer have a bias: ``"xh"``, ``"x"`` or ``"h"``."""
    modes = {"double": "xh", "input": "x", "recurrent": "h"}
    if bias_mode not in modes:
        raise ValueError(f"bias_mode must be one of {', '.join(map(repr, modes))}, got {bias_mode!r}")
    return modes[bias_mode]


def _leaves(layer: Any) -> list[Recurrent]:
    """The single layers, in cuDNN's order."""
    return [leaf for row in directions_of("torch", layer) for leaf in row]


def _shapes(layer: Recurrent, fed: str) -> list[tuple[int, ...]]:
    """Shapes of the matrices for x, for h and of the projection, and of the biases, if there are some."""
    for_x, for_h, bias = shapes_of("torch", layer)
    projected = [(layer.output_size, layer.hidden_size)] if projection_of(layer) else []
    return [for_x, for_h, *projected, *[bias] * (len(fed) * layer.bias)]


def _read(layer: Recurrent, name: str, arrays: list[np.ndarray], fed: str) -> dict[str, np.ndarray]:
    """The parameters of a layer from its arrays."""
    for_x, for_h, *rest = arrays
    projection = rest.pop(0) if projection_of(layer) else None
    biases = dict(zip(fed, rest))
    both = tuple(biases.get(source, np.zeros_like(rest[0])) for source in "xh") if rest else ()
    return read_weights("torch", layer, name, (for_x, for_h), both, projection)


def _written(layer: Recurrent, fed: str) -> list[np.ndarray]:
    """The arrays of a layer."""
    for_x, for_h, *biases = write_weights("torch", layer)
    projected = projection_of(layer)
    matrices = [for_x, for_h, *([layer.params[projected]] if projected else [])]
    if not biases or fed == "xh":
        return [*matrices, *biases]
    joined, H = biases[0] + biases[1], layer.hidden_size
    if layer.cell.name == "gru":
        own, other = biases if fed == "x" else biases[::-1]
        if other[2 * H :].any():
            raise ValueError(
                "the candidate of the GRU has a bias for x and one for h, and bias_mode leaves one out: write it with "
                "bias_mode='double'"
            )
        joined[2 * H :] = own[2 * H :]
    return [*matrices, joined]


def _size(shapes: list[tuple[int, ...]]) -> int:
    return sum(int(np.prod(shape)) for shape in shapes)


def _check_length(leaves: list[Recurrent], shapes: list[Any], got: tuple[int, ...], fed: str) -> None:
    """`ValueError` that says what a buffer of another length may be of."""
    biases = sum(shapes_of("torch", leaf)[2][0] for leaf in leaves)
    needed = sum(map(_size, shapes))
    matrices = needed - biases * len(fed) * leaves[0].bias
    if got == (needed,):
        return
    cures = {
        matrices: "it has no biases: make the layer with bias=False",
        matrices + biases: "it has one bias for each gate: pass bias_mode='input' or 'recurrent', as cuDNN was told",
        matrices + 2 * biases: "it has two biases for each gate: leave bias_mode out",
    }
    if not leaves[0].bias:
        cures = dict.fromkeys((matrices + biases, matrices + 2 * biases), "it has biases: make it with bias=True")
    cure = cures.get(got[0], "of other sizes, or of another kind") if len(got) == 1 else "pass one vector"
    raise ValueError(
        f"buffer must have shape ({needed},) for {len(leaves)} layers and directions such as {leaves[0]!r}, got {got}: "
        f"{cure}"
    )
