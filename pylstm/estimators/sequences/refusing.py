"""`refuse_other`: what estimators do not take for X: batches besides in `fit`, and paths that are not of .npy files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pylstm.checks import quoted
from pylstm.data.iterables import is_batches


def refuse_other(X: Any) -> None:
    """Refuse batches and other paths, with what to do instead.

    Raises
    ------
    TypeError, ValueError

    Examples
    --------
    >>> refuse_other([[1.0], [2.0]])
    """
    if streams(X):
        raise TypeError(
            f"X must be sequences, got batches ({type(X).__name__}), which fit alone takes, without y: pass the arrays "
            "of each batch, such as [net.predict(batch[0]) for batch in batches]"
        )
    several = X.tolist() if isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "OU" else X
    paths = several if isinstance(several, list | tuple) else [several]
    if not paths or not all(isinstance(each, str | os.PathLike) for each in paths):
        return
    for each in paths:
        if not os.fsdecode(each).endswith(".npy"):
            raise ValueError(
                f"X must be sequences, the path of a .npy file, or a list of them, got {quoted(each)}: read another "
                "file first (a table with pandas.read_csv, .npz with np.load, HDF5 with h5py), and pass what it holds"
            )
    if isinstance(X, np.ndarray):
        raise ValueError("X: paths of .npy files must be in a list, got an array: pass X.tolist()")


def refuse_beside(X: Any, y: Any, sample_weight: Any) -> None:
    """Refuse targets or weights beside batches, which hold them.

    Raises
    ------
    TypeError
    """
    if streams(X) or (y is None and is_batches(X)):
        given = "y" if y is not None else "sample_weight"
        raise TypeError(
            f"{given} must not be passed beside batches ({type(X).__name__}): let each batch be (x, y) or (x, y, "
            "sample_weight), and pass X alone"
        )


def streams(X: Any) -> bool:
    """Whether X yields batches; a list is not looked at, since one of tuples may be one of sequences."""
    return is_batches(X) and not isinstance(X, Sequence) and not hasattr(X, "__array__")
