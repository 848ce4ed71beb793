"""`take`: parameters into layers, checked by numbers; `Widening`: arrays of half precision, converted and said.

No array is converted but those of float16 and bfloat16, whose values float32 and float64 hold exactly.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pylstm.checks import as_array, check_array, check_flag
from pylstm.hints import callers_level
from pylstm.layers.named import Recurrent

HALVES = ("float16", "bfloat16")
TOLERANCES = {"float32": 1e-5, "float64": 1e-10}
"""dtype -> by how much outputs may differ from `check`, relative to the largest."""
OF_HALVES = 0.03
"""The same where `check` has outputs of half precision."""


class Widening:
    """Reads arrays and tensors; those of half precision in the dtype of a layer, and counts them.

    Examples
    --------
    >>> import numpy as np
    >>> widening = Widening(np.dtype("float32"))
    >>> widening("bias", np.ones(2, "float16"), (2,)).dtype, str(widening)
    (dtype('float32'), '1 array converted from float16 to float32')
    """

    def __init__(self, dtype: np.dtype, allow_nonfinite: bool = False) -> None:
        self.dtype, self.found = dtype, Counter[str]()
        self.allow_nonfinite = check_flag("allow_nonfinite", allow_nonfinite)

    def __call__(self, name: str, value: Any, shape: tuple[int | str, ...]) -> np.ndarray:
        """`value` as an array of the layer's dtype.

        Raises
        ------
        TypeError, ValueError
            Another dtype; another shape; NaN or infinite, unless `allow_nonfinite`.
        """
        array, half = as_array(name, of_tensor(value)), half_of(value)
        with np.errstate(invalid="ignore"):  # of NaN and inf, which are refused below in a sentence
            wide = array.astype(self.dtype) if half else array
        found = check_array(name, wide, shape, self.dtype)
        if not self.allow_nonfinite and not (finite := np.isfinite(found)).all():
            raise ValueError(
                f"{name} must be finite, holds {found[~finite][0]}: allow_nonfinite=True takes it nevertheless"
            )
        self.found[half] += bool(half)
        return found

    def __str__(self) -> str:
        return ", ".join(
            f"{count} array{'s' * (count > 1)} converted from {half} to {self.dtype}"
            for half, count in (+self.found).items()
        )

    def say(self, what: str) -> None:
        """Warn if arrays of `what` were converted."""
        if +self.found:
            warnings.warn(f"{what}: {self}", stacklevel=callers_level())


def half_of(value: Any) -> str:
    """The name of the dtype of an array or tensor if it is of half precision, else an empty text."""
    name = str(getattr(value, "dtype", "")).removeprefix("torch.").lstrip("<>=")
    name = "float16" if name == "f2" else name
    return name if name in HALVES else ""


def of_tensor(value: Any) -> Any:
    """What NumPy can take, of a tensor that may require a gradient or be of bfloat16, which NumPy has not."""
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()


def without_prefix(name: str, values: Mapping[Any, Any], prefix: str) -> dict[Any, Any]:
    """The entries whose keys begin with `prefix`, without it.

    Raises
    ------
    TypeError
        `prefix` is not a text.
    ValueError
        No key begins with it.

    Examples
    --------
    >>> without_prefix("state_dict", {"rnn.bias": 1, "head.bias": 2}, "rnn.")
    {'bias': 1}
    """
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a text such as 'rnn.', got {type(prefix).__name__}")
    found = {str(key)[len(prefix) :]: value for key, value in values.items() if str(key).startswith(prefix)}
    if prefix and not found:
        known = sorted({str(key).rpartition(".")[0] + "." for key in values if "." in str(key)})
        raise ValueError(
            f"{name}: no key begins with {prefix!r}; prefixes there are: {', '.join(known[:20]) or 'none'}"
        )
    return found if prefix else dict(values)


def take(layer: Any, leaves: Sequence[Recurrent], values: Sequence[Mapping[str, np.ndarray]], check: Any) -> None:
    """Set the parameters of `leaves`, which make up `layer`; undone if its outputs are not those of `check`.

    Parameters
    ----------
    layer : Recurrent, Stack or Bidirectional
    leaves : list of Recurrent
    values : list of dict of str to ndarray
        Of each leaf.
    check : None or pair of array_like
        Inputs, laid out for `layer`, and what the other library computes of them from initial states of 0.

    Raises
    ------
    TypeError, ValueError
        `check` is not such a pair; other outputs.
    """
    if check is None:
        for leaf, each in zip(leaves, values):
            leaf.params.update(each)
        return
    if not isinstance(check, tuple | list) or len(check) != 2:
        raise TypeError(f"check must be a pair of inputs and outputs, (x, y), got {type(check).__name__}")
    x, y = check
    if not np.size(of_tensor(x)):
        raise ValueError(f"check: x must have at least one step and one row, got shape {tuple(np.shape(x))}")
    allowed = OF_HALVES if half_of(y) else TOLERANCES[leaves[0].dtype.name]
    before = [leaf.params.flat.copy() for leaf in leaves]
    try:
        for leaf, each in zip(leaves, values):
            leaf.params.update(each)
        x = as_array("check: x", of_tensor(x)).astype(leaves[0].dtype)
        _compare(layer(x, tape=False).y, as_array("check: y", of_tensor(y)).astype("float64"), allowed)
    except BaseException:
        for leaf, flat in zip(leaves, before):
            leaf.params.flat[...] = flat
        raise


def _compare(ours: np.ndarray, theirs: np.ndarray, allowed: float) -> None:
    if ours.shape != theirs.shape:
        raise ValueError(f"check: y must have the shape of the layer's outputs, {ours.shape}, got {theirs.shape}")
    differs = float(np.abs(ours - theirs).max(initial=0) / max(np.abs(theirs).max(initial=0), 1e-30))
    if not differs <= allowed:
        raise ValueError(
            f"check: the outputs differ from y by {differs:.2g} of its largest, where {allowed:g} is allowed, so the "
            "layer was left as it was: y is of other weights, of initial states that are not 0, or of a cell with "
            "other activations (such as Keras 2's hard_sigmoid), another place of the reset gate, or zoneout"
        )
