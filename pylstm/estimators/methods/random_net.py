"""`random_net`: a recurrent net whose weights stay as they are drawn; what learns is its read-out.

Two GRUs, one from each end, whose units forget at rates from one step to half a sequence, driven by steps and their
differences. Five statistics of every unit over the steps are the features (Jaeger, 2001, The "echo state" approach to
analysing and training recurrent neural networks; Bianchi, Scardapane, Lokse and Jenssen, 2021, Reservoir computing
approaches for representation and classification of multivariate time series).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.data.sequences import Sequences
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.initialisers import bias_of, weight_blocks
from pylstm.layers.named import Recurrent
from pylstm.models.passes import Pass
from pylstm.models.sequence_model import SequenceModel

DRIVE = (0.5, 2.0)
"""Smallest and largest gain of the input of a unit."""

FEEDBACK = 2.0
"""Standard deviation of the recurrent weights of a unit, times the root of the number of units."""

GATING = 0.5
"""What the weights of the gates are multiplied by."""

OFFSET = 0.5
"""Standard deviation of the biases of the candidate."""

VALUES = 4_000_000
"""Outputs of the body that are held at a time."""


def random_net(inputs: int, hidden: int, classes: int, longest: float, dtype: Any, seed: int) -> SequenceModel:
    """The net, with a head that has not learned.

    Parameters
    ----------
    inputs, hidden, classes : int
        Numbers at a step, units of each direction, outputs.
    longest : float
        Steps that the slowest units remember.
    dtype : {"float32", "float64"}
    seed : int

    Examples
    --------
    >>> random_net(2, 8, 3, 50.0, "float32", 0).predict(np.zeros((5, 7, 2), "float32")).shape
    (5, 3)
    """
    rng = np.random.default_rng(seed)
    layers = [Recurrent("gru", inputs, hidden, dtype=dtype, seed=0) for _ in range(2)]
    for each in layers:
        _draw(each, max(longest, 1.0), rng)
    body = Bidirectional(*layers)
    return SequenceModel.of(body, classes, read="stats", loss="softmax_cross_entropy", seed=seed)


def _draw(layer: Any, longest: float, rng: np.random.Generator) -> None:
    gain = np.exp(rng.uniform(np.log(DRIVE[0]), np.log(DRIVE[1]), layer.hidden_size))[:, None]
    for source, factor in (("x", gain), ("h", np.full_like(gain, FEEDBACK))):
        blocks = list(weight_blocks(layer, source))
        for at, block in enumerate(blocks):
            gating = 1.0 if at == len(blocks) - 1 else GATING  # the candidate comes last
            block[...] = rng.normal(size=block.shape) * factor * gating / np.sqrt(block.shape[1])
    layer.params["bias"][...] = 0
    # z = 1 - 1 / steps keeps a state for so many steps
    steps = np.exp(rng.uniform(0, np.log(longest), layer.hidden_size))
    bias_of(layer, "z")[...] = np.log(np.maximum(steps - 1, 0.01))
    bias_of(layer, "n")[...] = rng.normal(size=layer.hidden_size) * OFFSET


def features_of(model: SequenceModel, x: np.ndarray | Sequences) -> np.ndarray:
    """What the head sees, (N, F) in float64, computed for some rows at a time."""
    size = max(1, VALUES // max(1, x.shape[1] * model.layer.output_size))
    found = np.zeros((len(x), model.head.in_features))
    for start in range(0, len(x), size):
        found[start : start + size] = Pass(model, *_rows(model, x[start : start + size]), tape=False).features
    return found


def _rows(model: SequenceModel, x: np.ndarray | Sequences) -> tuple[np.ndarray, np.ndarray | None]:
    """Steps first, and the lengths of the rows."""
    if isinstance(x, Sequences):
        x = x.cut()
        return np.ascontiguousarray(x.padded.swapaxes(0, 1)), x.lengths
    return np.ascontiguousarray(x.swapaxes(0, 1)), None
