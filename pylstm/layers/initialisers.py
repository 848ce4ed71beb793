"""Initial values of parameters: functions on a layer of any cell, or on all single layers of a stack.

What they know of a cell are its gates: the rows of ``weight_<source>`` of a gate are a block, and each is drawn for
itself. The recurrent sources are all but x: previous states, and emissions such as the reset state of a GRU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import numpy as np

from pylstm.cells.contracts.structures import Antisymmetric
from pylstm.checks import check_number, generator
from pylstm.hints import explained
from pylstm.layers.constants import set_constants
from pylstm.layers.inputs.protocols import SingleLayer
from pylstm.layers.structured import clear_masked

__all__ = [
    "bias_of",
    "chrono",
    "gate_bias",
    "glorot_uniform",
    "identity",
    "initialise",
    "orthogonal",
    "single_layers",
    "uniform",
    "weight_blocks",
]


@explained()
def single_layers(layer: Any) -> list[SingleLayer]:
    """The single layers of `layer`, in the order of the parameters.

    Raises
    ------
    TypeError
        Neither `Recurrent` nor `Stack` nor `Bidirectional`.

    Examples
    --------
    >>> import pylstm
    >>> single_layers(pylstm.GRU(3, 5, num_layers=2))
    [GRU(3, 5, dtype='float32'), GRU(5, 5, dtype='float32')]
    """
    found: list[SingleLayer] | None = getattr(layer, "recurrents", None)
    if found is None:
        raise TypeError(f"layer must be a Recurrent, Stack or Bidirectional, got {type(layer).__name__}")
    return found


@explained()
def weight_blocks(layer: SingleLayer, sources: str | Iterable[str]) -> Iterator[np.ndarray]:
    """The rows of every gate, (width of the gate, width of the source), in the matrices of some sources.

    Not those that are constants of the cell. Where the matrix has a structure: every block, every number of a diagonal
    as a block (1, 1), the gates that are tied once, the second factor of a low rank, and what other kinds are made of.

    Parameters
    ----------
    layer : Recurrent
    sources : "all", "recurrent", or names
        "recurrent": all but x. Names: those of the cell's sources.

    Raises
    ------
    ValueError
        A source that the cell does not have.

    Examples
    --------
    >>> import pylstm
    >>> [block.shape for block in weight_blocks(pylstm.GRU(3, 5), "x")]
    [(5, 3), (5, 3), (5, 3)]
    """
    contract = layer.cell.contract
    for source in _sources_of(layer, sources):
        if source not in contract.sources:
            raise ValueError(f"cell {contract.name!r} has no source {source!r} (known: {', '.join(contract.sources)})")
        weight, matrix, at = layer.params[f"weight_{source}"], contract.matrices(layer.widths)[source], 0
        for gate, rows in zip(contract.gates_of(source), matrix.stored):
            if not {f"weight_{source}", f"weight_{source}.{gate}"} & {*contract.constants}:
                step = matrix.structure.kind.rows_of_block(rows, matrix.sizes)
                yield from (weight[first : first + step] for first in range(at, at + rows, step))
            at += rows
        factor = f"factor_{source}"
        if factor in layer.params and factor not in contract.constants:
            yield layer.params[factor]


def _sources_of(layer: SingleLayer, sources: str | Iterable[str]) -> list[str]:
    """The names that `sources` of `weight_blocks` stands for."""
    known = layer.cell.contract.sources
    if sources in ("all", "recurrent"):
        return [source for source in known if sources == "all" or source != "x"]
    return [sources] if isinstance(sources, str) else list(sources)


def all_blocks(layer: Any, sources: str | Iterable[str]) -> list[np.ndarray]:
    """The `weight_blocks` of all single layers, found before the first is set: what is refused changes none."""
    return [block for each in single_layers(layer) for block in weight_blocks(each, sources)]


def gained_blocks(layer: Any, sources: str | Iterable[str], gain: float) -> list[tuple[np.ndarray, float]]:
    """`all_blocks` and the gain of each: 1 of the second factor of a low rank, whose first has that of the product."""
    check_number("gain", gain)
    seconds = [
        each.params[f"factor_{source}"]
        for each in single_layers(layer)
        for source in each.cell.contract.sources
        if f"factor_{source}" in each.params and f"weight_{source}" not in each.cell.contract.constants
    ]
    blocks = all_blocks(layer, sources)
    return [(block, 1.0 if any(np.may_share_memory(block, one) for one in seconds) else gain) for block in blocks]


@explained()
def bias_of(layer: SingleLayer, gate: str) -> np.ndarray:
    """The bias of a gate, (width,), a view.

    Raises
    ------
    ValueError
        The cell has no such gate, or it has no bias.

    Examples
    --------
    >>> import pylstm
    >>> bias_of(pylstm.LSTM(3, 2), "f").shape
    (2,)
    """
    contract, at = layer.cell.contract, 0
    if gate not in contract.gates:
        raise ValueError(f"cell {contract.name!r} has no gate {gate!r} (known: {', '.join(contract.gates)})")
    if "bias" not in layer.params or gate not in contract.biased:
        raise ValueError(f"gate {gate!r} of {layer!r} has no bias")
    for each in contract.biased:
        if each == gate:
            break
        at += layer.widths[each]
    return layer.params["bias"][at : at + layer.widths[gate]]


@explained()
def uniform(layer: Any, bound: float | None = None, *, seed: Any = None) -> None:
    """All parameters uniform in -bound..bound; default 1/sqrt(hidden_size), as new layers and PyTorch's have.

    Parameters
    ----------
    layer : Recurrent, Stack or Bidirectional
    bound : float, optional
    seed : int, optional

    Examples
    --------
    >>> import pylstm
    >>> layer = pylstm.GRU(3, 5)
    >>> uniform(layer, 0.01, seed=0)
    >>> bool(abs(layer.params.flat).max() <= 0.01)
    True
    """
    rng = generator(seed)
    for each in single_layers(layer):
        limit = 1 / math.sqrt(each.hidden_size) if bound is None else abs(check_number("bound", bound))
        each.params.flat[...] = rng.uniform(-limit, limit, each.params.size)
        clear_masked(each)
        set_constants(each)


@explained()
def glorot_uniform(layer: Any, sources: str | Iterable[str] = "x", *, gain: float = 1.0, seed: Any = None) -> None:
    """The block of every gate uniform within gain sqrt(6 / (its columns + its rows)).

    Parameters
    ----------
    layer : Recurrent, Stack or Bidirectional
    sources : "all", "recurrent", or names
    gain : float
    seed : int, optional

    Notes
    -----
    Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks. Libraries that
    take the matrix of all gates for one block have smaller limits.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer = pylstm.GRU(3, 5)
    >>> glorot_uniform(layer, seed=0)
    >>> bool(abs(layer.params["weight_x"]).max() <= np.sqrt(6 / (3 + 5)))
    True
    """
    rng = generator(seed)
    for block, factor in gained_blocks(layer, sources, gain):
        limit = abs(factor) * math.sqrt(6 / sum(block.shape))
        block[...] = rng.uniform(-limit, limit, block.shape)


@explained()
def orthogonal(layer: Any, sources: str | Iterable[str] = "recurrent", *, gain: float = 1.0, seed: Any = None) -> None:
    """The block of every gate a random orthogonal matrix times gain; if it is not square, its shorter axis is.

    Parameters
    ----------
    layer : Recurrent, Stack or Bidirectional
    sources : "all", "recurrent", or names
    gain : float
    seed : int, optional

    Notes
    -----
    Saxe, McClelland and Ganguli (2014), Exact solutions to the nonlinear dynamics of learning. Q of a QR
    decomposition of normal numbers, with the signs that make it uniform over all orthogonal matrices (Mezzadri 2007).

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer = pylstm.LSTM(3, 5, dtype="float64")
    >>> orthogonal(layer, seed=0)
    >>> forget = layer.params["weight_h"][5:10]
    >>> np.allclose(forget @ forget.T, np.eye(5))
    True
    """
    rng = generator(seed)
    for block, factor in gained_blocks(layer, sources, gain):
        q, r = np.linalg.qr(rng.standard_normal((max(block.shape), min(block.shape))))
        q *= np.where(np.diag(r) < 0, -1, 1)
        block[...] = factor * (q if block.shape[0] >= block.shape[1] else q.T)


@explained()
def identity(layer: Any, sources: str | Iterable[str] = "recurrent", *, gain: float = 1.0) -> None:
    """The block of every gate the identity times gain.

    Parameters
    ----------
    layer : Recurrent, Stack or Bidirectional
    sources : "all", "recurrent", or names
    gain : float

    Raises
    ------
    ValueError
        A matrix that is antisymmetric by its structure: none is the identity.

    Notes
    -----
    Le, Jaitly and Hinton (2015), A simple way to initialize recurrent networks of rectified linear units, with the
    cell ``rnn_relu``; they set the biases to 0, too.

    Examples
    --------
    >>> import pylstm
    >>> layer = pylstm.RNN(3, 2, nonlinearity="relu")
    >>> identity(layer, gain=0.5)
    >>> layer.params["weight_h"].tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    for each in single_layers(layer):
        for source, structure in each.cell.contract.structure.items():
            if type(structure.kind) is Antisymmetric and source in _sources_of(each, sources):
                raise ValueError(f"weight_{source} of {each!r} is antisymmetric: it cannot be the identity")
    for block, factor in gained_blocks(layer, sources, gain):
        block[...] = factor * np.eye(*block.shape)


@explained()
def gate_bias(layer: Any, gate: str, value: Any) -> None:
    """The bias of one gate.

    Parameters
    ----------
    layer : Recurrent, Stack or Bidirectional
    gate : str
        Of every single layer.
    value : float or array_like, shape (width,)

    Raises
    ------
    ValueError
        A layer that has no such gate, or no bias.

    Notes
    -----
    A forget gate that starts open, ``gate_bias(layer, "f", 1.0)``: Jozefowicz, Zaremba and Sutskever (2015), An
    empirical exploration of recurrent network architectures.

    Examples
    --------
    >>> import pylstm
    >>> layer = pylstm.LSTM(3, 2)
    >>> gate_bias(layer, "f", 1.0)
    >>> layer.params["bias"][2:4]
    array([1., 1.], dtype=float32)
    """
    views = [bias_of(each, gate) for each in single_layers(layer)]
    for view in views:
        view[...] = check_number("value", value)


@explained()
def chrono(layer: Any, longest: float, forget: str = "f", opposite: str | None = "i", *, seed: Any = None) -> None:
    """Biases for dependencies over up to `longest` steps: log u, u uniform in 1..longest - 1, and minus that.

    Parameters
    ----------
    layer : Recurrent, Stack or Bidirectional
    longest : float
        At least 2.
    forget : str
        The gate that keeps the past where it is 1: ``f`` of ``lstm``, ``z`` of ``gru``.
    opposite : str, optional
        A gate that gets minus the bias of `forget`; None: there is none, as in ``gru``.
    seed : int, optional

    Raises
    ------
    ValueError
        A layer that has no such gates, or no bias; `longest` below 2.

    Notes
    -----
    Tallec and Ollivier (2018), Can recurrent neural networks warp time?, section 3.

    Examples
    --------
    >>> import pylstm
    >>> layer = pylstm.GRU(3, 5)
    >>> chrono(layer, 100, "z", None, seed=0)
    >>> bool((bias_of(layer, "z") >= 0).all())
    True
    """
    if not check_number("longest", longest) >= 2:
        raise ValueError(f"longest must be at least 2, got {longest}")
    rng = generator(seed)
    views = [
        (bias_of(each, forget), None if opposite is None else bias_of(each, opposite)) for each in single_layers(layer)
    ]
    for kept, other in views:
        kept[...] = np.log(rng.uniform(1, longest - 1, kept.shape))
        if other is not None:
            other[...] = -kept


Initialiser = Literal["uniform", "glorot_uniform", "orthogonal", "identity", "gate_bias", "chrono"]
"""Names of `INITIALISERS`, for type checkers."""

INITIALISERS = {each.__name__: each for each in (uniform, glorot_uniform, orthogonal, identity, gate_bias, chrono)}
"""Name -> initialiser, for `Recurrent.initialise`."""


@explained()
def initialise(layer: Any, how: Any, *arguments: Any, **options: Any) -> Any:
    """Call an initialiser, by name or of your own, on `layer`; returns the layer.

    Raises
    ------
    ValueError
        No initialiser of that name.

    Examples
    --------
    >>> import pylstm
    >>> initialise(pylstm.GRU(3, 5), "orthogonal", gain=0.5, seed=0)
    GRU(3, 5, dtype='float32')
    """
    if not callable(how):
        if not isinstance(how, str) or how not in INITIALISERS:
            raise ValueError(f"initialiser must be one of {', '.join(INITIALISERS)}, or a function; got {how!r}")
        how = INITIALISERS[how]
    how(layer, *arguments, **options)
    for each in getattr(layer, "recurrents", ()):
        clear_masked(each)
        set_constants(each)
    return layer


@explained()
def set_values(layer: SingleLayer, values: Mapping[str, Any], rng: np.random.Generator) -> None:
    """Set the parameters in `values`, as `Cell.initial_values` declares them; biases only if the layer has any."""
    for name, value in values.items():
        whole, _, gate = name.partition(".")
        if whole in layer.params:
            view = bias_of(layer, gate) if gate else layer.params[whole]
            view[...] = value(rng, view.shape) if callable(value) else value
