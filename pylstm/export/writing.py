"""`c`, `header`: the files of a net."""

from __future__ import annotations

import os
import re
from typing import Any

from pylstm.checks import check_dtype
from pylstm.export.layers import WORDS
from pylstm.export.net import net_of
from pylstm.export.source import Source
from pylstm.files import Path, path_text, write_bytes

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


def c(model: Any, path: Path, *, dtype: Any = None, weights: Path | None = None, name: str = "net") -> None:
    """Write a net as one C11 file without dependencies, which runs it step by step.

    Parameters
    ----------
    model : Recurrent, Stack, SequenceModel, CharModel, ClassifyModel, ForecastModel or an estimator of these
        Of one direction; every cell that is a formula, bundled or yours. Dropout does not act.
    path : path
    dtype : {"float32", "float64"}, optional
        Of the arithmetic, by default that of the model.
    weights : path, optional
        A file for the weights, which ``net_init`` then takes; by default they are in the C file.
    name : str
        Prefix of all names in the file: nets of different names can be in one program.

    Raises
    ------
    TypeError
        A net of two directions, a cell whose forward function is not a formula, a forecast of prepared or several
        series; an object that is neither a layer nor a model.
    ValueError
        A name that C cannot take; one file for both; an estimator that is not fitted; weights that are not finite.
    OSError
        A file cannot be written.

    Notes
    -----
    The results have the bits of ``stream.step``, and of ``predict``, of an equal model of that dtype: see
    :doc:`/export`.

    Examples
    --------
    >>> from pathlib import Path
    >>> import pylstm
    >>> layer = pylstm.LSTM(3, 8, seed=0)
    >>> pylstm.export.c(layer, "net.c")
    >>> "int net_step(net_t *net, const float *x, float *y);" in Path("net.c").read_text()
    True
    """
    target = path_text(path, "pylstm.export.c(model, path) writes a file")
    if weights is not None and os.path.abspath(target) == os.path.abspath(path_text(weights, "a file of its own")):
        raise ValueError(f"weights and the C file are one file, {target}: give the weights another name")
    net = net_of(model, None if dtype is None else check_dtype(dtype))
    source = Source(net, _checked(name), header=False, beside=weights is not None)
    text = source.text()
    if weights is not None:
        write_bytes(weights, source.weights)
    write_bytes(path, text.encode())


def header(model: Any, path: Path, *, name: str = "net") -> None:
    """Write a net as one C header for microcontrollers: float32, constant weights, everything static.

    Parameters
    ----------
    model, path, name
        As for `c`.

    Raises
    ------
    TypeError, ValueError, OSError
        As `c`.

    Notes
    -----
    Functions as in the file of `c`. Matrices are kept as they are, row by row, without padding for vectors. Products
    are fused with sums where the processor does that: there the bits are those of pylstm at level v3, elsewhere those
    of v1; see :doc:`/export`.

    Examples
    --------
    >>> from pathlib import Path
    >>> import pylstm
    >>> pylstm.export.header(pylstm.GRU(3, 8, seed=0), "net.h")
    >>> "static int net_step(" in Path("net.h").read_text()
    True
    """
    source = Source(net_of(model, check_dtype("float32")), _checked(name), header=True, beside=False)
    write_bytes(path, source.text().encode())


def _checked(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.match(name):
        raise ValueError(f"name must be a C identifier of small letters, digits and underscores, got {name!r}")
    if name in WORDS:
        raise ValueError(f"name must not be a word of C or C++, got {name!r}")
    return name
