"""Parameters of ``haste_pytorch.LSTM`` and ``GRU``, as their state dicts have them. Neither Haste nor torch is needed.

Matrices are transposed, (inputs, gates times units), columns i, g, f, o of LSTM, z, r, n of GRU, whose reset gate comes
after the product; `forget_bias` is in the bias. Zoneout is not in the weights: of ``zoneout=p`` Haste computes, in
evaluation, what ``layer(x, blend={"h": 1 - p})`` does, with an array of the shape of the states of all steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.hints import absent, explained
from pylstm.interop.taking import Widening, take
from pylstm.interop.tensor_files import state_of
from pylstm.interop.weights import directions_of, read_weights, refuse_other_kind, shapes_of, write_weights
from pylstm.layers.named import Recurrent

__all__ = ["load_state_dict", "state_dict"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)

KEYS = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
"""Those of a GRU; an LSTM has not the last."""


@explained()
def load_state_dict(
    layer: Recurrent, state_dict: Any, *, prefix: str = "", check: Any = None, allow_nonfinite: bool = False
) -> None:
    """Set the parameters of `layer` from the state dict of a Haste layer; all is checked before anything is set.

    Parameters
    ----------
    layer : Recurrent
        With the cell ``lstm`` or ``gru`` and a bias; Haste's modules are one layer of one direction.
    state_dict : dict of str to array or tensor, a module, or the path of a safetensors file
        ``kernel`` (I, G H), ``recurrent_kernel`` (H, G H), ``bias`` (G H,), of GRU ``recurrent_bias`` (G H,), of the
        dtype of `layer` or of half precision.
    prefix, check, allow_nonfinite
        As for `pylstm.interop.torch.load_state_dict`; `check` is of Haste in evaluation, without zoneout.

    Raises
    ------
    OSError, TypeError, ValueError
        As there; several layers or directions, no bias; Haste's layers with layer normalisation, IndRNN, the joined
        kernel of ``haste_tf``.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Recurrent("lstm", 2, 3, seed=0)
    >>> state = {"kernel": np.ones((2, 12), "f4"), "recurrent_kernel": np.ones((3, 12), "f4")}
    >>> load_state_dict(layer, state | {"bias": np.repeat([0, 0, 1, 0], 3).astype("f4")})  # forget_bias=1
    >>> layer.params["bias"][3:6]  # f
    array([1., 1., 1.], dtype=float32)
    """
    leaf = _single(layer)
    state = state_of(state_dict, prefix)
    _refuse_others(leaf, state)
    keys = KEYS[: 3 + (leaf.cell.name == "gru")]
    missing, unexpected = sorted({*keys} - {*state}), sorted(map(str, {*state} - {*keys}))
    if missing or unexpected:
        parts = [key.rpartition(".") for key in unexpected]
        inner = sorted({f"{before}." for before, dot, key in parts if dot and key in KEYS})
        cure = f"; pass prefix={' or prefix='.join(map(repr, inner[:5]))}" if inner else ""
        raise ValueError(f"state_dict: missing keys {missing}, unexpected keys {unexpected}{cure}")
    widening = Widening(leaf.dtype, allow_nonfinite)
    (rows, inputs), (_, width), bias = shapes_of("haste", leaf)
    shapes = ((inputs, rows), (width, rows), bias, bias)
    kernel, recurrent, *biases = (
        widening(f"state_dict[{key!r}]", state[key], shape) for key, shape in zip(keys, shapes)
    )
    values = read_weights("haste", leaf, "state_dict: transposed kernel", (kernel.T, recurrent.T), tuple(biases))
    widening.say("state_dict")
    take(layer, [leaf], [values], check)


@explained()
def state_dict(layer: Recurrent) -> dict[str, np.ndarray]:
    """The state dict of the Haste layer that computes what `layer` does; the inverse of `load_state_dict`.

    Parameters
    ----------
    layer : Recurrent
        With the cell ``lstm`` or ``gru``. Of a layer without bias the biases are 0.

    Returns
    -------
    dict of str to ndarray
        New arrays of the layer's dtype.

    Examples
    --------
    >>> {key: array.shape for key, array in state_dict(Recurrent("gru", 2, 3)).items()}
    {'kernel': (2, 9), 'recurrent_kernel': (3, 9), 'bias': (9,), 'recurrent_bias': (9,)}
    """
    leaf = _single(layer, biased=False)
    for_x, for_h, *biases = write_weights("haste", leaf)
    biases = biases or [np.zeros(len(for_x), leaf.dtype), np.zeros(len(for_x), leaf.dtype)]
    arrays = [np.ascontiguousarray(for_x.T), np.ascontiguousarray(for_h.T), *biases]
    return dict(zip(KEYS[: 3 + (leaf.cell.name == "gru")], arrays))


def _single(layer: Any, biased: bool = True) -> Recurrent:
    rows = directions_of("haste", layer)
    if len(rows) > 1 or len(rows[0]) > 1:
        raise ValueError(
            f"Haste's modules are one layer of one direction, got {layer!r}: convert its layers one by one, "
            "stack.layers[0], and of a Bidirectional forward and reverse"
        )
    if biased and not rows[0][0].bias:
        raise ValueError(f"Haste's layers have biases, but the layer was made with bias=False: {layer!r}")
    return rows[0][0]


def _refuse_others(layer: Recurrent, state: Mapping[Any, Any]) -> None:
    """`ValueError` for what Haste has and this module cannot convert, and for another kind of layer."""
    if any(str(key).startswith("gamma") for key in state):
        raise ValueError(
            "state_dict is of a Haste layer with layer normalisation (gamma): it normalises W x and U h each for all "
            "gates together, which no bundled cell does: write one of a few lines, or train one without"
        )
    if "recurrent_scale" in state:
        raise ValueError(
            "state_dict is of haste_pytorch.IndRNN, whose activation is tanh; the cell 'indrnn' has relu: write the "
            "cell in a few lines, h = tanh(z.a + p.w * prev.h)"
        )
    kernel, recurrent = (tuple(getattr(state.get(key), "shape", ())) for key in KEYS[:2])
    if "recurrent_kernel" not in state and kernel and kernel[0] == layer.input_size + layer.hidden_size:
        raise ValueError(
            "kernel holds both matrices, as in haste_tf: pass kernel[:I] as 'kernel' and kernel[I:] as "
            f"'recurrent_kernel', I = {layer.input_size}, and of a GRU the halves of bias as 'bias', 'recurrent_bias'"
        )
    if len(recurrent) > 1:
        refuse_other_kind("haste", layer, "state_dict is", np.empty((recurrent[1], 0)), recurrent[0])
