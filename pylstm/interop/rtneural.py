"""Model files of RTNeural, which runs nets in audio plugins: JSON, read and written. RTNeural is not needed.

Matrices are those of Keras, (inputs, outputs); columns i, f, g, o of ``lstm``, z, r, n of ``gru`` with two biases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.checks import Dtype, check_dtype
from pylstm.feedforward.linear import Linear
from pylstm.files import path_text
from pylstm.hints import absent, explained
from pylstm.interop.chain import Chain, ChainStream, chain_of, sizes_of
from pylstm.interop.convolution import Conv1d
from pylstm.interop.elementwise import ACTIVATIONS, Activation, Normalisation, PReLU
from pylstm.interop.json_files import finite_floats, read_json, write_json
from pylstm.interop.weights import read_weights, weights_of
from pylstm.kinds import MOST_LAYERS
from pylstm.layers.named import Recurrent
from pylstm.schema import Entries, malformed

__all__ = ["Chain", "ChainStream", "load", "save"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)

_DOOR = "pylstm.interop.rtneural.save(model, path) writes a file, pylstm.interop.rtneural.load(path) reads it"

BLOCKS = {"lstm": 4, "gru": 3}
"""Cell -> the blocks of columns of its matrices."""
LAYERS = ("dense", "time-distributed-dense", *BLOCKS, "conv1d", "prelu", "batchnorm", "activation")
"""Types of layer that are read; not ``conv2d`` and ``batchnorm2d``."""
MOST_PAST = 2**24
"""Numbers that a convolution may keep of the steps before."""


@explained()
def load(path: Any, *, dtype: Dtype = "float32") -> Chain:
    """Read a model from a JSON file of RTNeural.

    Parameters
    ----------
    path : path
    dtype : {"float32", "float64"}
        Of the layers; the file holds decimal numbers.

    Returns
    -------
    Chain
        Of `Recurrent` layers, `Linear` maps and activations; a ``conv1d`` is causal, as RTNeural runs it.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        Not such a file; an entry that is missing, not finite or of another shape than the file says; a layer or an
        activation that is not read here (``conv2d``, ``batchnorm2d``).

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> model = pylstm.SequenceModel("lstm", 1, 8, 1, read="every", seed=0)
    >>> save(model, "model.json")
    >>> chain = load("model.json")
    >>> x = np.ones((100, 1), "float32")
    >>> bool((chain(x) == model.predict(x[None])[0]).all())
    True
    """
    name, kind = path_text(path, _DOOR), check_dtype(dtype)
    with malformed(name):
        says = read_json(name)
        if "in_shape" not in says.value and any("weight_ih_l" in key for key in says.value):
            raise ValueError(
                "holds a state_dict of PyTorch, not layers: read it with json.load, and make layers of it with "
                "pylstm.interop.torch.load_state_dict(layer, state_dict)"
            )
        width = _last(says, "in_shape")
        layers = says.list("layers", dict)
        if not 1 <= len(layers) <= MOST_LAYERS:
            raise ValueError(f"layers must hold 1 to {MOST_LAYERS} layers, got {len(layers)}")
        parts: list[Any] = []
        for k, each in enumerate(layers):
            parts += _read(Entries(each, f"layers[{k}]"), width, kind)
            width = sizes_of(parts[-1])[1] if parts else width
        return Chain(parts)


def _last(says: Entries, name: str) -> int:
    """The last number of a list: of a shape the features."""
    values = says.list(name)
    if not values:
        says.refuse("must hold a number", values, name)
    return Entries({name: values[-1]}, says.where).integer(name)


def _read(says: Entries, inputs: int, dtype: np.dtype) -> list[Any]:
    """The layer that an entry describes, with its activation."""
    kind, outputs = says.text("type", LAYERS), _last(says, "shape")
    activation = says.text("activation") if says.value.get("activation") else ""
    if kind in BLOCKS:
        if activation not in ("", "tanh"):
            says.refuse(f"must be tanh, which RTNeural runs in every {kind}", activation, "activation")
        return [_read_recurrent(says, kind, inputs, outputs, dtype)]
    if activation not in ("", *ACTIVATIONS):
        says.refuse(f"must be one of {', '.join(ACTIVATIONS)}", activation, "activation")
    read: Any = {"conv1d": _read_conv, "prelu": _read_prelu, "batchnorm": _read_batchnorm}.get(kind, _read_dense)
    if outputs != inputs and kind in ("prelu", "batchnorm", "activation"):
        says.refuse(f"must end in {inputs}, the outputs of the layer before", says.value["shape"], "shape")
    parts = [] if kind == "activation" else [read(says, inputs, outputs, dtype)]
    named = bool(activation) and kind not in ("prelu", "batchnorm")
    return [*parts, Activation(activation, outputs, dtype)] if named else parts


def _arrays(says: Entries, shapes: list[tuple[int | None, ...]], dtype: np.dtype) -> list[np.ndarray]:
    """The first arrays of ``weights``, of these shapes."""
    weights = says.list("weights", list)
    if len(weights) < len(shapes):
        raise ValueError(f"{says.where}.weights must hold {len(shapes)} arrays, got {len(weights)}")
    return [finite_floats(*pair, dtype, f"{says.where}.weights[{k}]") for k, pair in enumerate(zip(weights, shapes))]


def _read_recurrent(says: Entries, cell: str, inputs: int, outputs: int, dtype: np.dtype) -> Recurrent:
    columns = BLOCKS[cell] * outputs
    bias_shape = (columns,) if cell == "lstm" else (2, columns)
    kernel, recurrent, bias = _arrays(says, [(inputs, columns), (outputs, columns), bias_shape], dtype)
    layer = Recurrent(cell, inputs, outputs, dtype=dtype, seed=0)
    biases = tuple(np.atleast_2d(bias))
    layer.params.update(read_weights("keras", layer, says.where, (kernel.T, recurrent.T), biases))
    return layer


def _read_dense(says: Entries, inputs: int, outputs: int, dtype: np.dtype) -> Linear:
    bias = len(says.list("weights")) > 1
    shapes: list[tuple[int | None, ...]] = [(inputs, outputs), (outputs,)]
    arrays = _arrays(says, shapes[: 1 + bias], dtype)
    layer = Linear(inputs, outputs, bias=bias, dtype=dtype, seed=0)
    layer.params.update({"weight": arrays[0].T} | ({"bias": arrays[1]} if bias else {}))
    return layer


def _read_conv(says: Entries, inputs: int, outputs: int, dtype: np.dtype) -> Conv1d:
    taps, dilation = _last(says, "kernel_size"), _last(says, "dilation")
    groups = says.integer("groups") if "groups" in says.value else 1
    if inputs % groups or outputs % groups:
        says.refuse(f"must divide {inputs} inputs and {outputs} outputs", groups, "groups")
    if (taps - 1) * dilation * inputs > MOST_PAST:
        says.refuse(f"must be so small that {MOST_PAST} numbers of the steps before suffice", dilation, "dilation")
    kernel, bias = _arrays(says, [(taps, inputs // groups, outputs), (outputs,)], dtype)
    return Conv1d(kernel, bias, dilation=dilation, groups=groups)


def _read_prelu(says: Entries, inputs: int, outputs: int, dtype: np.dtype) -> PReLU:
    (alpha,) = _arrays(says, [(1, None)], dtype)
    if alpha.size not in (1, outputs):
        raise ValueError(f"{says.where}.weights[0] must hold 1 or {outputs} numbers, got {alpha.size}")
    return PReLU(alpha[0], outputs)


def _read_batchnorm(says: Entries, inputs: int, outputs: int, dtype: np.dtype) -> Normalisation:
    epsilon = says.number("epsilon", 0)
    *affine, mean, variance = _arrays(says, [(outputs,)] * (4 if len(says.list("weights")) > 2 else 2), dtype)
    if not (variance + epsilon > 0).all():
        raise ValueError(f"{says.where}: epsilon and the variances, the last of weights, must be above 0 together")
    scale, shift = affine or (None, None)
    return Normalisation(mean, variance, epsilon, scale, shift)


@explained()
def save(model: Any, path: Any) -> None:
    """Write a model as a JSON file of RTNeural, whole or not at all.

    Parameters
    ----------
    model : SequenceModel, Chain, Recurrent, Stack, Linear or MLP
        Of layers with the cell ``lstm`` or ``gru``; a `SequenceModel` with ``read="every"``.
    path : path

    Raises
    ------
    TypeError
        Another model; a cell that RTNeural does not have.
    ValueError
        Initial states that are not 0, residual connections, an embedding: the format holds none; NaN or infinity.

    Examples
    --------
    >>> import pylstm
    >>> save(pylstm.GRU(1, 8, num_layers=2, seed=0), "layers.json")
    >>> load("layers.json")
    Chain([GRU(1, 8, dtype='float32'), GRU(8, 8, dtype='float32')])
    """
    chain = chain_of(model)
    layers: list[dict[str, Any]] = []
    for part in chain.parts:
        before = layers[-1] if layers else {"type": ""}
        if isinstance(part, Activation) and before["type"] in ("dense", "conv1d") and not before["activation"]:
            before["activation"] = part.name
            continue
        entry = {"type": "activation", "activation": "", "shape": [None, None, sizes_of(part)[1]]} | _written(part)
        layers.append(entry | {"weights": [each.tolist() for each in entry["weights"]]})
    write_json(path, {"in_shape": [None, None, chain.input_size], "layers": layers}, _DOOR)


def _written(part: Any) -> dict[str, Any]:
    """Entries of a layer, with arrays as ``weights``."""
    if isinstance(part, Recurrent):
        return {"type": part.cell.name, "activation": "tanh", "weights": _written_recurrent(part)}
    if isinstance(part, Linear):
        bias = [part.params["bias"]] if part.bias else []
        return {"type": "dense", "weights": [part.params["weight"].T, *bias]}
    if isinstance(part, Conv1d):
        sizes = {"kernel_size": [part.size], "dilation": [part.dilation], "groups": part.groups}
        return {"type": "conv1d", "weights": [part.kernel, part.bias]} | sizes
    if isinstance(part, PReLU):
        return {"type": "prelu", "weights": [part.alpha[None]]}
    if isinstance(part, Normalisation):
        affine = [] if part.scale is None else [part.scale, part.shift]
        return {"type": "batchnorm", "epsilon": part.epsilon, "weights": [*affine, part.mean, part.variance]}
    return {"activation": part.name, "weights": []}


def _written_recurrent(layer: Recurrent) -> list[np.ndarray]:
    cell = layer.cell.name
    if cell not in BLOCKS:
        raise TypeError(f"RTNeural has no layer with the cell {cell!r}; those with a counterpart: {', '.join(BLOCKS)}")
    for name in layer.learn_initial:
        if layer.params[f"initial_{name}"].any():
            raise ValueError(
                f"layers of RTNeural start from 0, but this layer learns its initial {name}: train one without "
                "learn_initial"
            )
    for_x, for_h, *biases = weights_of("keras", layer)
    biases = biases or [np.zeros(len(for_x), layer.dtype)] * 2
    return [for_x.T, for_h.T, np.stack(biases) if cell == "gru" else biases[0]]
