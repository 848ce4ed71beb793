"""Checkpoints: all that the next step of a training run depends on, in one safetensors file, written whole or not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from pylstm.checks import check_array, check_finite
from pylstm.files import Path, read_file, write_file
from pylstm.parameters import Parameters
from pylstm.schema import Entries, malformed
from pylstm.training.divergence import TrainingDiverged

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
        `path` exists but is not a regular file.
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
            raise ValueError(f"must hold a {KIND}{task}, got a {kind[:60]}")
        tree = _join(entries.entries("tree"), tensors)
        if not isinstance(tree, dict):
            raise ValueError("tree must hold a dict")
        return tree


def refuse_taken(path: Path, task: str, run: Callable[[], Mapping[str, Any]]) -> None:
    """Reject, before the first step, a path where a checkpoint would replace anything but an old one of this run.

    Only a finished run of the same settings and data is replaced: it can be repeated.

    Parameters
    ----------
    path : path
    task : str
        As for `write_checkpoint`.
    run : callable
        Returns the record of a checkpoint about its run.

    Raises
    ------
    ValueError
        Another file is there, a checkpoint of another run, or one of a run that is not finished.
    OSError
        The folder does not exist; the file cannot be read.
    """
    shown, target = os.fsdecode(path), os.path.realpath(os.fsdecode(path))
    if not os.path.isdir(folder := os.path.dirname(target)):
        raise FileNotFoundError(f"checkpoint {shown}: the folder {folder} does not exist")
    if not os.path.exists(target) or (os.path.isfile(target) and not os.path.getsize(target)):
        return
    if not os.path.isfile(target):
        raise ValueError(f"checkpoint {shown}: exists but is not a regular file")
    try:
        state = read_checkpoint(path, task)
    except ValueError as error:
        found = str(error).removeprefix(f"{shown}: ")
        raise ValueError(
            f"checkpoint {shown}: would replace a file that is not a checkpoint of {task} ({found}): "
            "choose another path, or remove the file"
        ) from None
    cure = "resume that run (--resume, in Python resume=True), choose another path, or remove the file"
    with malformed(shown, "damaged, or what it says"):
        history = Entries(state, "").entries("history")
        steps, stopped = len(history.get("steps")), history.text("stopped")
        try:
            refuse_other(shown, state["run"], run())
        except ValueError as error:
            raise ValueError(f"{error}; {cure}") from None
        if stopped in ("", "interrupted"):
            raise ValueError(f"would replace the checkpoint of a run that stopped after {steps} steps: {cure}")


@contextmanager
def kept_on_error(trainer: Any, path: Path | None) -> Iterator[None]:
    """Block in which an exception first writes the checkpoint of `trainer`; its note says where.

    Not after a second Ctrl-C, which wants the end at once; not after a divergence, to which a resumed run would come
    again; and not where the exception came in the middle of a step, ``trainer.whole`` being False.
    """
    try:
        yield
    except (KeyboardInterrupt, TrainingDiverged):
        raise
    except BaseException as error:
        if path is not None and trainer.step and trainer.whole:
            shown = os.fsdecode(path)
            try:
                trainer.save_checkpoint(path)
            except (OSError, ValueError, MemoryError) as failed:
                error.add_note(f"the checkpoint {shown} could not be written either: {failed}")
            else:
                error.add_note(f"the training so far, {trainer.step} steps, is in the checkpoint {shown}: resume it")
        raise


def copy_parameters(params: list[Parameters]) -> dict[str, Any]:
    """Values of several `Parameters`, for a checkpoint."""
    return {str(number): {name: each[name] for name in each} for number, each in enumerate(params)}


def restore_parameters(params: list[Parameters], state: Mapping[str, Any]) -> None:
    """Set `params` to a result of `copy_parameters`; all are checked first, see `check_parameters`."""
    check_parameters(params, state)
    for number, each in enumerate(params):
        each.update(state[str(number)])


def check_parameters(params: list[Parameters], state: Mapping[str, Any]) -> None:
    """Whether `state` is a result of `copy_parameters` for such `params`.

    Raises
    ------
    ValueError, TypeError
        Another number of them, other names, shapes or dtypes; values that are not finite.
    """
    expected = {f"{number}.{name}" for number, each in enumerate(params) for name in each}
    found = {f"{number}.{name}" for number, each in state.items() for name in each}
    if expected != found:
        missing, unexpected = sorted(expected - found), sorted(found - expected)
        raise ValueError(f"parameters differ: missing {missing}, unexpected {unexpected}")
    for number, each in enumerate(params):
        for name, shape in each.shapes.items():
            what = f"parameter {f'{number}.{name}'!r}"
            check_finite(what, check_array(what, state[str(number)][name], shape, each.dtype))


def frozen_of(params: list[Parameters]) -> list[list[str]]:
    """The names of the frozen parameters of each, for a checkpoint."""
    return [list(each.frozen) for each in params]


def restore_frozen(params: list[Parameters], state: Any) -> None:
    """Freeze what a result of `frozen_of` says, and nothing else; checkpoints of before have none."""
    for each, names in zip(params, state or ()):
        each.set_frozen(names)


def check_frozen(params: list[Parameters], state: Any) -> None:
    """`ValueError` if `state` is neither None nor a result of `frozen_of` for such `params`."""
    fits = isinstance(state, list) and len(state) == len(params) and all(isinstance(names, list) for names in state)
    if state is not None and not (fits and all(n in each for each, names in zip(params, state) for n in names)):
        raise ValueError(f"frozen must hold names of the parameters of each layer, got {state!r:.80}")


def refuse_other(path: Any, saved: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """`ValueError` with every entry of `saved` that is not as in `asked`."""
    names = [*saved, *(name for name in asked if name not in saved)]
    wrong = [name for name in names if saved.get(name) != asked.get(name)]
    if wrong:
        pairs = "; ".join(f"{name} was {saved.get(name)!r}, now {asked.get(name)!r}" for name in wrong)
        raise ValueError(f"{path}: belongs to another run: {pairs}")


def _split(tree: Any, name: str, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """`tree` with every array moved to `tensors`."""
    if isinstance(tree, np.ndarray):
        tensors[name] = np.ascontiguousarray(tree)
        return {"array": name}
    if isinstance(tree, Mapping):
        return {"dict": {key: _split(value, f"{name}/{key}", tensors) for key, value in tree.items()}}
    return {"value": tree}


def _join(tree: Entries, tensors: Mapping[str, np.ndarray]) -> Any:
    """The tree of which `_split` made this; the inverse of it."""
    if len(tree.only(("array", "dict", "value")).value) != 1:
        tree.refuse("must have one entry: array, dict or value", list(tree.value))
    if "array" in tree.value:
        return tensors[tree.text("array", tensors)]
    if "dict" in tree.value:
        inner = tree.entries("dict")
        return {key: _join(inner.entries(key), tensors) for key in inner.value}
    return tree.get("value")
