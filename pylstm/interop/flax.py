"""Parameters of the cells of ``flax.linen`` and ``flax.nnx``, as trees of dicts. Neither Flax nor JAX is needed.

`LSTMCell` and `OptimizedLSTMCell` are our cell ``lstm``, `GRUCell` is ``gru``, `SimpleCell` ``rnn_tanh``, or
``rnn_relu`` with that activation, `MGUCell` ``mgu_after``, and with ``reset_gate=False`` ``ugrnn``. Kernels are
transposed, (inputs, units), one for each gate and source: ``hf`` is that of gate f for h. In ``flax.nnx`` those of all
gates stand side by side in ``dense_i`` and ``dense_h``, but for its `LSTMCell`. Other activations and ``residual=True``
are not in the tree: they make another cell, which `check` shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.checks import quoted
from pylstm.hints import absent, explained
from pylstm.interop.taking import Widening, take
from pylstm.interop.weights import directions_of, read_weights, refuse_other_kind, write_weights
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack

__all__ = ["load_params", "params"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)

LETTERS: dict[str, Sequence[str]] = {
    "lstm": "ifgo",
    "gru": "rzn",
    "rnn_tanh": ("",),
    "rnn_relu": ("",),
    "mgu_after": "fn",
    "ugrnn": "fn",
}
"""Cell -> Flax's letters of its gates, in the order of `gate_orders`."""
BIASED = {"lstm": "h", "gru": "i", "rnn_tanh": "i", "rnn_relu": "i", "mgu_after": "i", "ugrnn": "i"}
"""Cell -> the source whose kernels have the bias; that of h of gate n stands apart in ``gru`` and ``mgu_after``."""
APART = ("gru", "mgu_after")
JOINED = {"i": "dense_i", "h": "dense_h"}
"""Source -> its name in ``flax.nnx``, but for `LSTMCell`."""
CLASSES = {"ifgo": "an LSTMCell", "rzn": "a GRUCell", "": "a SimpleCell", "fn": "an MGUCell"}
"""Letters of the gates of a tree -> whose it is."""
LAYOUTS = ("linen", "nnx")


@explained()
def load_params(
    layer: Recurrent | Stack | Bidirectional, tree: Any, *, check: Any = None, allow_nonfinite: bool = False
) -> None:
    """Set the parameters of `layer` from the tree of a Flax cell; all is checked before anything is set.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack
        With the cell ``lstm``, ``gru``, ``rnn_tanh``, ``rnn_relu``, ``mgu_after`` or ``ugrnn``, and a bias.
    tree : dict of dict, or list of them
        What ``cell.init`` of ``flax.linen`` returns, ``nnx.state(cell, nnx.Param)``, or what
        ``flax.serialization.msgpack_restore`` reads; dicts with a single entry around it (``params``, ``cell``) are
        passed over. A stack takes a list with the tree of each layer and direction, forward before reverse; a
        `Bidirectional` that of ``flax.linen.Bidirectional``, too. Arrays of the dtype of `layer`; those of float16 and
        bfloat16 are converted, exactly, with a warning that says so.
    check, allow_nonfinite
        As for `pylstm.interop.torch.load_state_dict`.

    Raises
    ------
    TypeError
        Another cell; another dtype; not a tree of dicts.
    ValueError
        The tree of another kind of cell; another number of trees; missing or unexpected entries, another shape; a
        layer without bias; NaN or inf; other outputs than those of `check`.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Recurrent("rnn_tanh", 2, 3, seed=0)
    >>> tree = {"i": {"kernel": np.ones((2, 3), "f4"), "bias": np.ones(3, "f4")},
    ...         "h": {"kernel": np.ones((3, 3), "f4")}}
    >>> load_params(layer, {"params": {"cell": tree}})
    >>> layer.params["bias"]
    array([1., 1., 1.], dtype=float32)
    """
    leaves = [leaf for row in directions_of("flax", layer) for leaf in row]
    trees = _trees(tree, len(leaves))
    widening, values = Widening(leaves[0].dtype, allow_nonfinite), []
    for k, (leaf, each) in enumerate(zip(leaves, trees)):
        if not leaf.bias:
            raise ValueError(f"Flax' cells have biases, but the layer was made with bias=False: {leaf!r}")
        values.append(_read(leaf, each, f"trees[{k}]" if len(leaves) > 1 else "tree", widening))
    widening.say("tree")
    take(layer, leaves, values, check)


@explained()
def params(layer: Recurrent | Stack | Bidirectional, *, layout: str = "linen") -> Any:
    """The tree of the Flax cell that computes what `layer` does; the inverse of `load_params`.

    Parameters
    ----------
    layer : Recurrent, Bidirectional or Stack
        As for `load_params`. Of a layer without bias the biases are 0.
    layout : {"linen", "nnx"}
        ``"nnx"`` is that of `OptimizedLSTMCell`, `GRUCell` and `SimpleCell` of ``flax.nnx``. Its `LSTMCell` has the
        tree of ``flax.linen``, but for the name ``if_`` in place of ``if``.

    Returns
    -------
    dict of str to dict of str to ndarray
        New arrays of the layer's dtype, without ``{"params": ...}`` around them; for a stack or two directions a list.

    Examples
    --------
    >>> tree = params(Recurrent("gru", 2, 3))
    >>> list(tree), list(tree["hz"]), list(tree["hn"])
    (['ir', 'iz', 'in', 'hr', 'hz', 'hn'], ['kernel'], ['kernel', 'bias'])
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be 'linen' or 'nnx', got {quoted(layout)}")
    leaves = [leaf for row in directions_of("flax", layer) for leaf in row]
    trees = [(_joined if layout == "nnx" else _written)(leaf) for leaf in leaves]
    return trees[0] if isinstance(layer, Recurrent) else trees


def _trees(tree: Any, count: int) -> list[Any]:
    """A tree for each leaf."""
    tree = _inner(tree)
    if isinstance(tree, Mapping) and {"forward_rnn", "backward_rnn"} <= {*tree}:
        tree = [tree["forward_rnn"], tree["backward_rnn"]]
    trees = list(tree) if isinstance(tree, list | tuple) else [tree]
    if len(trees) != count:
        raise ValueError(f"tree must be {count} trees in a list, one for each layer and direction, got {len(trees)}")
    return [_inner(each) for each in trees]


def _inner(tree: Any) -> Any:
    """A tree without dicts of a single entry around it."""
    while isinstance(tree, Mapping) and len(tree) == 1:
        (only,) = tree.values()
        if not isinstance(only, Mapping) or "kernel" in only:
            break
        tree = only
    return tree


def _read(layer: Recurrent, tree: Any, name: str, widening: Widening) -> dict[str, np.ndarray]:
    cell, hidden = layer.cell.name, layer.hidden_size
    if not isinstance(tree, Mapping) or not all(isinstance(entry, Mapping) for entry in tree.values()):
        raise TypeError(
            f"{name} must be the tree of one Flax cell, a dict of dicts such as {{'hf': {{'kernel': ...}}}}, got "
            f"{quoted(list(tree) if isinstance(tree, Mapping) else tree)}: of a module of flax.nnx pass "
            "nnx.state(cell, nnx.Param)"
        )
    entries = {str(key).removesuffix("_"): entry for key, entry in tree.items()}
    joined = "dense_i" in entries
    if joined and cell not in ("mgu_after", "ugrnn"):
        recurrent = getattr(entries.get("dense_h", {}).get("kernel"), "shape", (0, 0))
        refuse_other_kind("flax", layer, f"{name} is", np.empty((recurrent[1], 0)), recurrent[0])
    expected = _shapes(layer, joined)
    _check_entries(cell, entries, expected, name)
    found = {
        (key, part): widening(f"{name}[{key!r}][{part!r}]", entries[key][part], shape)
        for (key, part), shape in expected.items()
    }
    names = {s: [JOINED[s]] if joined else [s + letter for letter in LETTERS[cell]] for s in "ih"}
    kernels = tuple(np.concatenate([found[key, "kernel"].T for key in names[source]]) for source in "ih")
    none = np.zeros(len(kernels[0]) if joined else hidden, layer.dtype)
    biases = tuple(np.concatenate([found.get((key, "bias"), none) for key in names[source]]) for source in "ih")
    return read_weights("flax", layer, f"{name}: transposed kernels", (kernels[0], kernels[1]), biases)


def _shapes(layer: Recurrent, joined: bool) -> dict[tuple[str, str], tuple[int, ...]]:
    """(Entry, kernel or bias) -> shape, of all that the tree of a cell holds."""
    cell, hidden = layer.cell.name, layer.hidden_size
    letters = LETTERS[cell]
    shapes: dict[tuple[str, str], tuple[int, ...]] = {}
    for source, inputs in (("i", layer.input_size), ("h", hidden)):
        columns = len(letters) * hidden if joined else hidden
        for key in [JOINED[source]] if joined else [source + letter for letter in letters]:
            shapes[key, "kernel"] = (inputs, columns)
            if source == BIASED[cell] or (key == "hn" and cell in APART):
                shapes[key, "bias"] = (columns,)
    return shapes


def _check_entries(cell: str, tree: Mapping[str, Any], expected: Mapping[tuple[str, str], Any], name: str) -> None:
    given = {(key, str(part)) for key, entry in tree.items() for part in entry}
    missing, unexpected = sorted({*expected} - given), sorted(given - {*expected})
    if not missing and not unexpected:
        return
    theirs = _class_of(tree)
    if theirs and theirs != CLASSES["".join(LETTERS[cell])]:
        raise ValueError(f"{name} is of {theirs}, but the layer has the cell {cell!r}: make a layer of that kind")
    if [*missing, *unexpected] == [("hn", "bias")] and cell in ("mgu_after", "ugrnn"):
        right = "ugrnn" if missing else "mgu_after"
        raise ValueError(
            f"{name} is of an MGUCell with reset_gate={not missing}, but the layer has the cell {cell!r}: make the "
            f"layer with the cell {right!r}"
        )
    cure = "" if given & {*expected} else ": pass the tree of the cell itself, such as tree['params']['cell']"
    shown = [[f"{key}.{part}" for key, part in pairs] for pairs in (missing, unexpected)]
    raise ValueError(f"{name}: missing entries {shown[0]}, unexpected entries {quoted(shown[1])}{cure}")


def _class_of(tree: Mapping[str, Any]) -> str:
    """Whose tree it is, by the names of its kernels for h."""
    letters = {key[1:] for key in tree if key[:1] == "h" and len(key) < 3}
    return next((said for each, said in CLASSES.items() if letters == set(each or ("",))), "")


def _arrays(layer: Recurrent) -> tuple[np.ndarray, ...]:
    """Matrices for x and for h, rows by gate, and the biases of both; zeros without bias."""
    for_x, for_h, *biases = write_weights("flax", layer)
    return (for_x, for_h, *(biases or (np.zeros(len(for_x), layer.dtype), np.zeros(len(for_x), layer.dtype))))


def _written(layer: Recurrent) -> dict[str, dict[str, np.ndarray]]:
    cell = layer.cell.name
    for_x, for_h, bias_x, bias_h = (np.split(each, len(LETTERS[cell])) for each in _arrays(layer))
    kernels = {
        source + letter: {"kernel": np.ascontiguousarray(rows.T)}
        for source, blocks in (("i", for_x), ("h", for_h))
        for letter, rows in zip(LETTERS[cell], blocks)
    }
    for letter, b_x, b_h in zip(LETTERS[cell], bias_x, bias_h):
        apart = letter == "n" and cell in APART
        kernels[BIASED[cell] + letter]["bias"] = b_x if apart else b_x + b_h
        if apart:
            kernels["hn"]["bias"] = b_h
    return kernels


def _joined(layer: Recurrent) -> dict[str, dict[str, np.ndarray]]:
    cell = layer.cell.name
    if cell in ("mgu_after", "ugrnn"):
        raise TypeError(f"flax.nnx has no cell that computes {cell!r}: layout='linen' has MGUCell")
    for_x, for_h, bias_x, bias_h = _arrays(layer)
    if cell == "gru" and bias_h.any():
        raise ValueError(
            "flax.nnx.GRUCell has no bias of the candidate's recurrent part, but that of gate m is not 0: "
            "layout='linen' has one"
        )
    tree = {"dense_i": {"kernel": np.ascontiguousarray(for_x.T)}, "dense_h": {"kernel": np.ascontiguousarray(for_h.T)}}
    tree[JOINED[BIASED[cell]]]["bias"] = bias_x + bias_h
    return tree
