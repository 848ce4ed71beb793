"""Pieces of messages: `with_article`, `named`, `converted`; and `ByName`, a dict that says which names it has.

`in_parts` takes what is given under the name of a complex value apart; `warn` warns at the caller's line.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Never

import numpy as np

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def warn(text: str) -> None:
    """Warn at the line of the caller's own code that called this package.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True) as found:
    ...     warnings.simplefilter("always")
    ...     warn("there are too few steps")
    >>> found[0].category.__name__, found[0].filename.startswith(PACKAGE)
    ('UserWarning', False)
    """
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=depth)


SHOWN, MOST_SHOWN = 8, 16
"""Names of a long list that are shown, and how long a list is shown as a whole."""


def some_of(names: Iterable[str], near: str = "") -> str:
    """Names of a list: all up to 16, of more the 8 nearest to `near`, or the first, and how many there are besides.

    Examples
    --------
    >>> some_of(["h", "c"]), some_of(f"g{k}" for k in range(80))
    ('h, c', 'g0, g1, g2, g3, g4, g5, g6, g7 and 72 more')
    """
    names = list(map(str, names))
    if len(names) <= MOST_SHOWN:
        return ", ".join(names)
    if near:
        import difflib

        names.sort(key=lambda name: -difflib.SequenceMatcher(None, near, name).ratio())
    return f"{', '.join(names[:SHOWN])} and {len(names) - SHOWN} more"


class ByName(dict[str, Any]):
    """Arrays by name; of a name that is not there it says which are. ``s`` of ``s_re`` and ``s_im`` is complex."""

    def __missing__(self, name: Any) -> Any:
        if f"{name}_re" in self and f"{name}_im" in self:
            return self[f"{name}_re"] + 1j * self[f"{name}_im"]
        raise KeyError(f"unknown name {name!r} (known: {some_of(self, str(name)) or 'none'})")

    if not TYPE_CHECKING:  # a checker reports what uses it

        def __getattr__(self, name: str) -> Never:
            cure = f': it is a dict, write ["{name}"]' if name in self else ""
            raise AttributeError(f"a dict of arrays by name has no attribute {name}{cure}", name=name, obj=self)


def in_parts(what: str, values: Any, pairs: tuple[str, ...]) -> Any:
    """`values` by name, those of complex names as the arrays of their two parts; what is no dict stays as it is.

    Examples
    --------
    >>> in_parts("initial", {"s": [1 + 2j], "h": None}, ("s",))
    {'h': None, 's_re': array([1.]), 's_im': array([2.])}
    """
    if not pairs or not isinstance(values, Mapping):
        return values
    found = {name: value for name, value in values.items() if name not in pairs}
    for name in pairs:
        value = values.get(name)
        if value is None:
            continue
        parts = (f"{name}_re", f"{name}_im")
        twice = [part for part in parts if values.get(part) is not None]
        if twice:
            raise ValueError(f"{what} has both {name!r} and {twice[0]!r}: pass the complex array, or its two parts")
        try:
            array = np.asarray(value)
            if array.dtype.kind not in "biufc":
                raise TypeError
        except (TypeError, ValueError):
            raise TypeError(f"{what}[{name!r}] must be a complex array, got {type(value).__name__}") from None
        found |= dict(zip(parts, (np.real(array), np.imag(array))))
    return found


def with_article(noun: str) -> str:
    """A class's name with "a" or "an", as it is spoken.

    Examples
    --------
    >>> with_article("LSTM"), with_article("GRU"), with_article("Embedding"), with_article("Stack")
    ('an LSTM', 'a GRU', 'an Embedding', 'a Stack')
    """
    spelt = noun[:2].isupper()  # letter by letter
    return f"{'an' if noun[:1] in ('AEFHILMNORSX' if spelt else 'AEIOaeio') else 'a'} {noun}"


def named(model: Any) -> str:
    """The class of what came in the place of a layer or model; of a module of PyTorch also what to do with it.

    Examples
    --------
    >>> named(3)
    'int'
    """
    kind, bases = type(model).__name__, {f"{each.__module__}.{each.__name__}" for each in type(model).__mro__}
    if "torch.nn.modules.module.Module" not in bases:
        return kind
    if callable(getattr(model, "to_pylstm", None)):
        return f"{kind}, a module of pylstm.torch: pass module.to_pylstm(), the layer with its weights"
    load = "pylstm.interop.torch.load_state_dict(layer, module"
    for name in COUNTERPARTS:
        if not bases.isdisjoint((f"torch.nn.modules.rnn.{name}", f"torch.nn.modules.rnn.{name}Cell")):
            given = {key: getattr(model, key, usual) for key, usual in USUAL.items()}
            more = "".join(f", {key}={value!r}" for key, value in given.items() if value != USUAL[key])
            make = f"pylstm.{name}({model.input_size}, {model.hidden_size}{more})"
            return f"{kind}, a module of PyTorch: make layer = {make}, then {load}), and pass layer"
    return f"{kind}, a module of PyTorch: {load}, prefix='rnn.') takes the weights of a recurrent layer in it"


COUNTERPARTS = ("LSTM", "GRU", "RNN")
USUAL = {"num_layers": 1, "nonlinearity": "tanh", "bias": True, "batch_first": False, "bidirectional": False}
USUAL |= {"proj_size": 0}
"""Arguments of PyTorch's modules that our layers have, too."""


def converted(name: str, value: Any, dtype: str) -> str:
    """The call that makes an array of `dtype` of the argument `name`, which is an array or a list.

    Examples
    --------
    >>> converted("y", np.zeros(2), "int64"), converted("y", [0.0], "int64")
    ("y.astype('int64')", "np.asarray(y, dtype='int64')")
    """
    dtype = dtype if dtype == "bool" else repr(dtype)
    return f"{name}.astype({dtype})" if isinstance(value, np.ndarray) else f"np.asarray({name}, dtype={dtype})"


_WEIGHED = "pad them to one length, and give the steps beyond their ends weight 0, weights="
_UNEQUAL = {
    "target": _WEIGHED,
    "targets": _WEIGHED,
    "dy": "give dy the shape of run.y, 0 beyond the ends",
    "parameter": "give every row as many numbers",
    "weights": "give them the shape of the loss's rows and steps, 0 beyond the ends",
}


def of_unequal(name: str) -> str:
    """What to do with rows of unequal lengths, by the first word of the argument's name.

    Examples
    --------
    >>> of_unequal("parameter 'weight'")
    'give every row as many numbers'
    """
    return _UNEQUAL.get(
        name.partition(" ")[0],
        "rows = pylstm.Sequences.of(list_of_arrays) pads them; a SequenceModel takes rows, a layer with "
        "batch_first=True rows.padded with lengths=rows.lengths",
    )


OF_LAYERS = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn_tanh"}
"""Class of a layer -> its cell."""


def layer_in_place(cell: Any) -> str:
    """Why a layer, or a class of layers, is not a cell, and which cell it has; "" of anything else."""
    cls = cell if isinstance(cell, type) else type(cell)
    if not any(f"{each.__module__}.{each.__name__}" == "pylstm.described.Layer" for each in cls.__mro__):
        return ""
    name = cls.__name__
    if cls is not cell:
        own = getattr(getattr(cell, "cell", None), "name", None)
        return f"{cell!r} is a layer, not a cell" + (f": its cell is {own!r}" if own else "")
    own = next((OF_LAYERS[each.__name__] for each in cls.__mro__ if each.__name__ in OF_LAYERS), None)
    if own is None:
        return f"{name} is a layer, not a cell, which is a name such as 'lstm' or a class derived from pylstm.Cell"
    return f"{name} is a layer, not a cell: its cell is {own!r}"
