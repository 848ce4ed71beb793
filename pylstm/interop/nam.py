"""Model files of Neural Amp Modeler (``.nam``) with the architecture LSTM: JSON, read and written. NAM is not needed.

``weights`` is one list of numbers. Of each layer: W (4H, I + H) by rows, which takes x and h at once, with the blocks
i, f, g, o; the bias (4H,); the initial h (H,) and c (H,). Then the head: its weight (outputs, H) and bias (outputs,).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.checks import Dtype, check_dtype, check_positive
from pylstm.feedforward.linear import Linear
from pylstm.files import path_text
from pylstm.hints import absent, explained
from pylstm.interop.chain import Chain, ChainStream, chain_of
from pylstm.interop.json_files import finite_floats, read_json, write_json
from pylstm.interop.weights import read_weights, weights_of
from pylstm.kinds import MOST_LAYERS
from pylstm.layers.named import Recurrent
from pylstm.schema import Entries, check_storable, malformed

__all__ = ["Chain", "ChainStream", "load", "save"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)

_DOOR = "pylstm.interop.nam.save(model, path) writes a file, pylstm.interop.nam.load(path) reads it"

VERSION = "0.5.4"
"""Version of the format that `save` writes."""


@explained()
def load(path: Any, *, dtype: Dtype = "float32") -> Chain:
    """Read an LSTM from a ``.nam`` file.

    Parameters
    ----------
    path : path
    dtype : {"float32", "float64"}
        Of the layers; NAM itself runs in float32.

    Returns
    -------
    Chain
        Of `Recurrent` layers, whose initial states are those of the file (`learn_initial`), and a `Linear`, with
        `sample_rate` and `metadata` as the file has them.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        Not such a file; another architecture; an entry that is missing or not finite; more or fewer weights than the
        sizes need.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> model = pylstm.SequenceModel("lstm", 1, 8, 1, num_layers=2, read="every", seed=0)
    >>> save(model, "model.nam", sample_rate=48000)
    >>> chain = load("model.nam")
    >>> x = np.ones((100, 1), "float32")
    >>> bool((chain(x) == model.predict(x[None])[0]).all()), chain.sample_rate
    (True, 48000)
    """
    name, kind = path_text(path, _DOOR), check_dtype(dtype)
    with malformed(name):
        says = read_json(name)
        _check_head(says)
        sizes = _sizes(says.entries("config"))
        rate = says.number("sample_rate") if says.value.get("sample_rate") is not None else None
        metadata = says.entries("metadata").value if says.value.get("metadata") is not None else None
        return Chain(_parts(says.list("weights", (int, float)), *sizes, kind), rate, metadata)


def _check_head(says: Entries) -> None:
    version, architecture = says.text("version"), says.text("architecture")
    if not re.fullmatch(r"0\.([5-9]|[1-9]\d+)\.\d+", version):
        says.refuse("must be 0.5.0 or a later 0.x", version, "version")
    if architecture != "LSTM":
        says.refuse(
            "must be LSTM (others, such as WaveNet, ConvNet and Linear, are not recurrent: train a NAM model with the "
            "architecture LSTM, or run this one with NAM)",
            architecture,
            "architecture",
        )


def _sizes(config: Entries) -> tuple[int, int, int, int]:
    """Layers, inputs, units and outputs."""
    layers, inputs, hidden = (config.integer(name) for name in ("num_layers", "input_size", "hidden_size"))
    channels, outputs = (
        config.integer(name) if name in config.value else 1 for name in ("in_channels", "out_channels")
    )
    if layers > MOST_LAYERS:
        config.refuse(f"must be at most {MOST_LAYERS}", layers, "num_layers")
    if channels != inputs:
        config.refuse(f"must be in_channels, {channels} (1 where the file does not say it)", inputs, "input_size")
    return layers, inputs, hidden, outputs


def _parts(weights: list[Any], layers: int, inputs: int, hidden: int, outputs: int, dtype: np.dtype) -> list[Any]:
    """The layers and the head, from as many weights as they need."""
    needed = sum(hidden * (4 * (width + hidden) + 6) for width in [inputs] + [hidden] * (layers - 1))
    needed += outputs * (hidden + 1)
    if len(weights) != needed:
        raise ValueError(
            f"weights must hold {needed} numbers ({layers} layers of {hidden} units, {inputs} inputs, {outputs} "
            f"outputs), got {len(weights)}"
        )
    flat = finite_floats(weights, (needed,), dtype, "weights")

    def take(*shape: int) -> np.ndarray:
        nonlocal flat
        piece, flat = np.split(flat, [int(np.prod(shape))])
        return piece.reshape(shape)

    parts: list[Any] = []
    for k in range(layers):
        layer = Recurrent("lstm", hidden if k else inputs, hidden, dtype=dtype, learn_initial=("h", "c"), seed=0)
        both, bias = take(4 * hidden, layer.input_size + hidden), take(4 * hidden)
        for_x, for_h = both[:, : layer.input_size], both[:, layer.input_size :]
        found = read_weights("torch", layer, f"layer {k}", (for_x, for_h), (bias,))
        layer.params.update(found | {f"initial_{state}": take(hidden) for state in "hc"})
        parts.append(layer)
    head = Linear(hidden, outputs, dtype=dtype, seed=0)
    head.params.update({"weight": take(outputs, hidden), "bias": take(outputs)})
    return [*parts, head]


@explained()
def save(model: Any, path: Any, *, sample_rate: float | None = None, metadata: dict[str, Any] | None = None) -> None:
    """Write an LSTM with a linear head as a ``.nam`` file, whole or not at all.

    Parameters
    ----------
    model : SequenceModel or Chain
        ``lstm`` layers of one size, then a `Linear`; a `SequenceModel` with ``read="every"``.
    path : path
    sample_rate : float, optional
        Steps a second, that of a `Chain` by default.
    metadata : dict, optional
        Of JSON, such as ``{"name": "My amplifier", "loudness": -18.0}``; that of a `Chain` by default.

    Raises
    ------
    TypeError
        Another model; another cell.
    ValueError
        Layers of different sizes; residual connections, an embedding: the format holds none; NaN or infinity.

    Examples
    --------
    >>> import pylstm
    >>> model = pylstm.SequenceModel("lstm", 1, 8, 1, read="every", seed=0)
    >>> save(model, "model.nam", sample_rate=48000, metadata={"name": "My amplifier"})
    >>> load("model.nam").metadata
    {'name': 'My amplifier'}
    """
    chain = chain_of(model)
    *layers, head = chain.parts
    lstm = [each for each in layers if isinstance(each, Recurrent) and each.cell.name == "lstm"]
    if not layers or lstm != layers or not isinstance(head, Linear):
        raise TypeError(f"a .nam file holds lstm layers and a Linear, got {chain!r}")
    if len(sizes := {each.hidden_size for each in layers}) > 1:
        raise ValueError(f"all layers of a .nam file must have the same hidden size, got {sorted(sizes)}")
    weights = np.concatenate([*map(_flat, layers), head.params["weight"].ravel(), _bias(head)])
    config = {"input_size": chain.input_size, "hidden_size": sizes.pop(), "num_layers": len(layers)}
    channels = {"in_channels": chain.input_size, "out_channels": chain.output_size}
    if set(channels.values()) != {1}:
        config |= channels
    file = {"version": VERSION, "architecture": "LSTM", "config": config, "weights": weights.tolist()}
    rate = chain.sample_rate if sample_rate is None else check_positive("sample_rate", sample_rate)
    about = chain.metadata if metadata is None else metadata
    check_storable(about, "metadata")
    given = {"metadata": about, "sample_rate": rate}
    write_json(path, file | {name: value for name, value in given.items() if value is not None}, _DOOR)


def _bias(head: Linear) -> np.ndarray:
    bias: np.ndarray = head.params["bias"] if head.bias else np.zeros(head.out_features, head.dtype)
    return bias


def _flat(layer: Recurrent) -> np.ndarray:
    """The numbers of a layer in their order."""
    for_x, for_h, *biases = weights_of("torch", layer)
    nothing = np.zeros(layer.hidden_size, layer.dtype)
    bias = biases[0] + biases[1] if biases else np.zeros(len(for_x), layer.dtype)
    initial = [layer.params[f"initial_{name}"] if name in layer.learn_initial else nothing for name in "hc"]
    return np.concatenate([np.hstack([for_x, for_h]).ravel(), bias, *initial])
