"""What a `SequenceClassifier` is asked for, `asked`, and what a file says of what it chose, `read_chosen`."""

from __future__ import annotations

from datetime import date, timedelta
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.checks import quoted
from pylstm.data.stored import Stored
from pylstm.data.views import VIEWS
from pylstm.schema import Entries, is_number

if TYPE_CHECKING:
    from pylstm.estimators.methods.choosing import Chosen

METHODS = ("auto", "random", "trained")

TRAINED = (
    "cell", "num_layers", "bidirectional", "dropout", "residual", "head_sizes", "activation", "read", "cell_options",
    "epochs", "batch_size", "learning_rate", "optimiser", "schedule", "clip", "early_stopping", "validation_fraction",
    "n_iter_no_change", "warm_start", "frozen",
)  # fmt: skip
"""Parameters of a trained net and of its training."""

MOST = 50_000
"""Sequences whose features are held at once."""

CHOSEN = ("method", "scores", "settings", "temperature")
"""Attributes, without the last ``_``, that a file holds."""


def asked(estimator: Any, x: Any = ()) -> str:
    """One of `METHODS`: "auto" is "trained" where a parameter of a trained net is not at its default, or x is large.

    Raises
    ------
    ValueError
        A random net for sequences that are not in memory.
    """
    if estimator.method == "auto" and (_given(estimator) or isinstance(x, Stored) or len(x) > MOST):
        return "trained"
    if estimator.method == "random" and isinstance(x, Stored):
        raise ValueError("method='random' needs the sequences in memory: take method='trained', or X[:]")
    return str(estimator.method)


def check_asked(estimator: Any) -> None:
    """Reject an unknown method, and parameters without effect.

    Raises
    ------
    ValueError
    """
    if not isinstance(estimator.method, str) or estimator.method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {estimator.method!r}")
    given = _given(estimator)
    if estimator.method == "random" and given:
        raise ValueError(
            f"method='random' has no effect for {', '.join(given)}: leave {'them' if len(given) > 1 else 'it'} out, or "
            "take method='trained'"
        )


def check_class_weight(class_weight: Any) -> None:
    """Reject factors of classes that are no numbers, negative or not finite.

    Raises
    ------
    ValueError
    """
    for label, factor in class_weight.items() if isinstance(class_weight, dict) else ():
        if not isinstance(factor, Real) or not 0 <= float(factor) < np.inf:
            raise ValueError(f"class_weight[{label!r}] must be a number, 0 or more and finite, got {quoted(factor)}")


def _given(estimator: Any) -> list[str]:
    fields = type(estimator).__dataclass_fields__
    return [name for name in TRAINED if not _same(getattr(estimator, name), fields[name].default)]


def _same(value: Any, default: Any) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, list | tuple | np.ndarray) and len(value) == len(default) == 0
    if default is None or isinstance(default, bool | str):
        return value is default or (isinstance(value, str) and value == default)
    return not isinstance(value, bool) and is_number(value) and bool(value == default)


def said(found: Chosen) -> str:
    """One line on what was chosen."""
    scores = ", ".join(f"{name} {score:.3f}" for name, score in found.scores.items())
    return f"method: {found.method} (accuracy on sequences left out: {scores})"


def read_chosen(says: Entries) -> dict[str, Any]:
    """The attributes of `CHOSEN`, from a file.

    Raises
    ------
    ValueError
        Something else than a fit writes.
    """
    own = says.entries("chosen").only(CHOSEN)
    scores, settings = own.entries("scores").only(METHODS[1:]), own.entries("settings")
    settings.only(("view", "penalty"))
    penalty = settings.get("penalty")
    return {
        "method": own.text("method", METHODS[1:]),
        "scores": {name: scores.number(name, 0, 1) for name in scores.value},
        "settings": {
            "view": settings.text("view", VIEWS),
            "penalty": None if penalty is None else settings.number("penalty", 0),
        },
        "temperature": own.number("temperature", 0),
    }


def check_labels(labels: np.ndarray) -> None:
    """Reject labels that no file can hold, or that have no order.

    Raises
    ------
    ValueError
        Dates, durations; texts beside numbers. Says what to do.
    """
    each = labels.ravel().tolist() if labels.dtype == object else []
    if labels.dtype.kind in "mM" or any(isinstance(label, date | timedelta | np.datetime64) for label in each):
        raise ValueError(
            "y holds dates or durations, labels must be texts or numbers: y.astype(str) makes texts of them"
        )
    texts = [label for label in each if isinstance(label, str)]
    if texts and len(texts) < len(each):
        other = next(label for label in each if not isinstance(label, str))
        raise ValueError(
            f"y holds texts and others, such as {texts[0]!r} and {other!r}: [str(label) for label in y] makes all texts"
        )
