"""Checkpoints: all that the next step of a training run depends on, in one safetensors file, written whole or not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from pylstm.layers.parameters import Parameters, check_array
from pylstm.saving import read_file, write_file

KIND = "checkpoint of "
"""How the kind of a checkpoint begins in the header of the file."""


def write_checkpoint(path: str | os.PathLike[str], task: str, state: Mapping[str, Any]) -> None:
    """Write `state` to a file beside `path`, then rename it: a kill leaves the checkpoint before.

    Parameters
    ----------
    path : path
    task : str
        What is trained: "text", "fit".
    state : dict
        Nested dicts of arrays and of what JSON holds; floats, also NaN, keep their bits, tuples come back as lists.

    Raises
    ------
    ValueError
        `path` is there and is not a regular file.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "run.checkpoint")
    ...     write_checkpoint(path, "text", {"step": 3, "states": {"h": np.zeros(2)}})
    ...     read_checkpoint(path, "text")
    {'step': 3, 'states': {'h': array([0., 0.])}}
    """
    tensors: dict[str, np.ndarray] = {}
    write_file(path, {"kind": KIND + task, "parts": {}, "tree": _split(state, "", tensors)}, tensors)


def read_checkpoint(path: str | os.PathLike[str], task: str) -> dict[str, Any]:
    """Read what `write_checkpoint` wrote.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        Not a checkpoint of `task`, cut short, damaged, or of another format.
    """
    header, tensors = read_file(path)
    if header.get("kind") != KIND + task:
        raise ValueError(f"{path}: holds a {header.get('kind')}, a {KIND}{task} is needed")
    return _join(header["tree"], tensors)


def copy_parameters(params: list[Parameters]) -> dict[str, Any]:
    """Values of several `Parameters`, for a checkpoint."""
    return {str(number): {name: each[name] for name in each} for number, each in enumerate(params)}


def restore_parameters(params: list[Parameters], state: Mapping[str, Any]) -> None:
    """Set `params` to what `copy_parameters` gave; all are checked before the first is set.

    Raises
    ------
    ValueError, TypeError
        Another number of them, other names, shapes or dtypes.
    """
    expected = {f"{number}.{name}" for number, each in enumerate(params) for name in each}
    found = {f"{number}.{name}" for number, each in state.items() for name in each}
    if expected != found:
        missing, unexpected = sorted(expected - found), sorted(found - expected)
        raise ValueError(f"other parameters: missing {missing}, unexpected {unexpected}")
    for number, each in enumerate(params):
        for name, shape in each.shapes.items():
            check_array(f"parameter {name!r}", state[str(number)][name], shape, each.dtype)
    for number, each in enumerate(params):
        each.update(state[str(number)])


def refuse_other(path: Any, saved: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """`ValueError` with every entry of `saved` that is not as in `asked`."""
    names = [*saved, *(name for name in asked if name not in saved)]
    wrong = [name for name in names if saved.get(name) != asked.get(name)]
    if wrong:
        pairs = "; ".join(f"{name} was {saved.get(name)!r}, now {asked.get(name)!r}" for name in wrong)
        raise ValueError(f"{path}: a checkpoint of another run: {pairs}")


def _split(tree: Any, name: str, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """`tree` with every array moved to `tensors`."""
    if isinstance(tree, np.ndarray):
        tensors[name] = np.ascontiguousarray(tree)
        return {"array": name}
    if isinstance(tree, Mapping):
        return {"dict": {key: _split(value, f"{name}/{key}", tensors) for key, value in tree.items()}}
    return {"value": tree}


def _join(tree: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> Any:
    """What `_split` took apart."""
    if "array" in tree:
        return tensors[tree["array"]]
    if "dict" in tree:
        return {key: _join(value, tensors) for key, value in tree["dict"].items()}
    return tree["value"]
