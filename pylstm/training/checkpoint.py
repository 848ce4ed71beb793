"""Checkpoints: all that the next step of a training run depends on, in one safetensors file, written whole or not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from pylstm.checks import check_array
from pylstm.files import Path, read_file, write_file
from pylstm.parameters import Parameters
from pylstm.schema import Entries, malformed

KIND = "checkpoint of "
"""How the kind of a checkpoint begins in the header of the file."""


def write_checkpoint(path: Path, task: str, state: Mapping[str, Any]) -> None:
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


def read_checkpoint(path: Path, task: str) -> dict[str, Any]:
    """Read what `write_checkpoint` wrote.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        Not a checkpoint of `task`, cut short, damaged, or of another format.
    """
    header, tensors = read_file(path)
    with malformed(os.fsdecode(path)):
        entries = Entries(header, "")
        if (kind := entries.text("kind")) != KIND + task:
            raise ValueError(f"holds a {kind[:60]}, a {KIND}{task} is needed")
        tree = _join(entries.entries("tree"), tensors)
        if not isinstance(tree, dict):
            raise ValueError("tree must hold a dict")
        return tree


def copy_parameters(params: list[Parameters]) -> dict[str, Any]:
    """Values of several `Parameters`, for a checkpoint."""
    return {str(number): {name: each[name] for name in each} for number, each in enumerate(params)}


def restore_parameters(params: list[Parameters], state: Mapping[str, Any]) -> None:
    """Set `params` to what `copy_parameters` gave; all are checked before the first is set, see `check_parameters`."""
    check_parameters(params, state)
    for number, each in enumerate(params):
        each.update(state[str(number)])


def check_parameters(params: list[Parameters], state: Mapping[str, Any]) -> None:
    """Whether `state` is what `copy_parameters` gave for such `params`.

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


def _join(tree: Entries, tensors: Mapping[str, np.ndarray]) -> Any:
    """What `_split` took apart."""
    if len(tree.only(("array", "dict", "value")).value) != 1:
        tree.refuse("must have one entry: array, dict or value", list(tree.value))
    if "array" in tree.value:
        return tensors[tree.text("array", tensors)]
    if "dict" in tree.value:
        inner = tree.entries("dict")
        return {key: _join(inner.entries(key), tensors) for key in inner.value}
    return tree.get("value")
