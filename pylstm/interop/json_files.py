"""`read_json` and `write_json`, and `finite_floats`: the numbers of a file that is not trusted."""

from __future__ import annotations

import json
import os
import stat
from typing import Any

import numpy as np

from pylstm.files import open_to_read, write_bytes
from pylstm.schema import Entries, as_array


def read_json(path: str) -> Entries:
    """The object that a JSON file holds; call it within `malformed`.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        Not a regular file; not JSON; not an object.
    """
    with open_to_read(path, lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("exists but is not a regular file")
        data = file.read()
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        at = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"not a JSON file, or cut short or damaged{at}: write or fetch it again") from None
    return Entries(value, "")


def write_json(path: Any, value: Any, cure: str) -> None:
    """Write `value` as JSON, whole or not at all; `cure` as of `write_bytes`."""
    write_bytes(path, json.dumps(value, allow_nan=False).encode(), cure)


def finite_floats(value: Any, shape: tuple[int | None, ...], dtype: Any, where: str) -> np.ndarray:
    """Nested lists as an array of `dtype`; `ValueError` with their place for another shape, NaN, or too large numbers.

    Examples
    --------
    >>> finite_floats([1, 1e300], (2,), "float32", "weights")
    Traceback (most recent call last):
    ValueError: weights must be finite in float32, holds 1e+300
    """
    wide = as_array(value, shape, where)
    with np.errstate(over="ignore"):
        array = wide.astype(dtype)
    if not (fits := np.isfinite(array)).all():
        raise ValueError(f"{where} must be finite in {np.dtype(dtype)}, holds {wide[~fits][0]}")
    return array
