"""`read_tensors` of a safetensors file, with those of bfloat16, which NumPy does not have; `state_of`, a state dict."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from pylstm.checks import quoted
from pylstm.files import open_tensors, open_to_read, part_of, path_text
from pylstm.interop.taking import without_prefix

DTYPES = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL", "C64")
"""Those of safetensors that NumPy has, and bfloat16."""
PICKLES = (".pt", ".pth", ".bin", ".ckpt")


def is_path(value: Any) -> bool:
    """Whether a value is the path of a file, of whatever kind.

    Examples
    --------
    >>> is_path("model.safetensors"), is_path({})
    (True, False)
    """
    return isinstance(value, str | bytes | os.PathLike)


class BFloat16:
    r"""A tensor of bfloat16, which is the upper half of a float32; `numpy.asarray` makes float32 of it.

    Examples
    --------
    >>> import numpy as np
    >>> np.asarray(BFloat16(b"\x80\x3f\x00\xc0", (2,)))
    array([ 1., -2.], dtype=float32)
    """

    dtype = "bfloat16"

    def __init__(self, data: bytes, shape: tuple[int, ...]) -> None:
        self.data, self.shape = data, shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        wide = (np.frombuffer(self.data, "<u2").astype("<u4") << 16).view("<f4")
        return wide.reshape(self.shape).astype(dtype or "float32", copy=False)


def read_tensors(path: Any, prefix: str = "") -> dict[str, Any]:
    """Name -> array or `BFloat16` of a safetensors file; None for those whose names do not begin with `prefix`.

    Raises
    ------
    OSError
        The file cannot be read.
    TypeError
        A tensor of another dtype than NumPy has, such as float8.
    ValueError
        Not a regular file; not such a file, cut short or damaged; a file of pickles.
    """
    name = path_text(path)
    if name.endswith(PICKLES):
        raise ValueError(
            f"{name}: a file of torch.save, which holds Python objects: pass torch.load(path, weights_only=True), or "
            "the dict of parameters in it"
        )
    file = open_tensors(name)
    keys: list[str] = part_of(name, lambda: list(file.keys()))
    wanted = [key for key in keys if key.startswith(prefix)]
    kinds: dict[str, str] = part_of(name, lambda: {key: file.get_slice(key).get_dtype() for key in wanted})
    for key, kind in kinds.items():
        if kind not in DTYPES:
            raise TypeError(
                f"{name}: {quoted(key)} is of the dtype {kind}, which is not taken: convert it there, with .float()"
            )
    read: dict[str, Any] = part_of(name, lambda: {key: _tensor(name, file, key) for key in wanted})
    return dict.fromkeys(keys) | read


def _tensor(path: str, file: Any, key: str) -> Any:
    if file.get_slice(key).get_dtype() != "BF16":
        return file.get_tensor(key)
    with open_to_read(path) as raw:  # `file` has compared the sizes in the header with the file
        length = int.from_bytes(raw.read(8), "little")
        entry = json.loads(raw.read(length))[key]
        first, last = entry["data_offsets"]
        raw.seek(8 + length + first)
        return BFloat16(raw.read(last - first), tuple(entry["shape"]))


def state_of(state: Any, prefix: str) -> dict[Any, Any]:
    """The entries of a state dict, a module or a safetensors file whose keys begin with `prefix`, without it.

    Raises
    ------
    OSError
        The file cannot be read.
    TypeError
        Something else.
    ValueError
        A dict of dicts; no key begins with `prefix`.
    """
    if callable(getattr(state, "state_dict", None)):
        state = state.state_dict()
    if is_path(state):
        state = read_tensors(state, prefix if isinstance(prefix, str) else "")
    if not isinstance(state, Mapping):
        raise TypeError(
            f"state_dict must be a state dict, a module or the path of a safetensors file, got {type(state).__name__}"
        )
    inner = [key for key, value in state.items() if isinstance(value, Mapping)]
    if inner:
        raise ValueError(f"state_dict holds a dict under {inner[0]!r}: pass that one, checkpoint[{inner[0]!r}]")
    return without_prefix("state_dict", state, prefix)
