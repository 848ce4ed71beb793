"""`data_for`: what the recurrent layers of a saved model see of a file."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np

ARRAYS = (".npy", ".npz")


@dataclass
class Data:
    """What is read of a file.

    Attributes
    ----------
    source : str
    sequences : list of ndarray, shape (T_i, I), or (T_i,) of indices
        As the net takes them.
    confusion : ndarray, optional
        Counts by true and predicted class, where the classes are known.
    series : Read, optional
        Of forecasts.
    aux : list of dict of str to ndarray, optional
        Per-step inputs of each sequence, (T_i, width), where cells of a layer have them.
    """

    source: str
    sequences: list[np.ndarray]
    confusion: Any = None
    series: Any = None
    aux: list[dict[str, np.ndarray]] | None = None


def data_for(args: argparse.Namespace, model: Any, about: dict[str, Any]) -> Data:
    """The data, as `model` takes them.

    Raises
    ------
    OSError, ValueError
        As the readers of `pylstm predict`; sequences that do not fit the model.
    """
    from pylstm.commands._shared.trained import READING, data_of, reading_of

    task = getattr(model, "task", None)
    if task not in READING:
        if args.data is None:
            raise ValueError(f"{args.model} does not say what it was trained on: pass DATA")
        return _of_net(args, model)
    reading, source = reading_of(args, str(task), about), data_of(args, about)
    return {"text": _text, "classify": _classify, "forecast": _forecast}[str(task)](source, reading, about, model)


def _text(source: str, reading: Any, about: Any, model: Any) -> Data:
    from pylstm.datasets import manual_topics, read_text

    if source.endswith(ARRAYS):
        return Data(source, [_indices(each, len(model.vocabulary), source) for each in read_arrays(source)])
    text = manual_topics() if source == "manual-topics" else read_text(source, minimum=2)
    return Data(source, [model.vocabulary.encode(text, model.vocabulary.smallest)])


def _classify(source: str, reading: Any, about: Any, model: Any) -> Data:
    from pylstm.commands._shared.sequences import NAMES, check_features, numbers_of, read_classification, read_groups
    from pylstm.models.classify_model import confusion

    y: Any = None
    if source.endswith(ARRAYS):
        x = read_arrays(source)
    elif source in NAMES:
        data = read_classification(source, dict.fromkeys(reading), None, 0)
        x, y = list(data.x_test), data.y_test if data.classes == model.classes else None
    else:
        labelled = reading["label"] is not None and _has(source, reading, reading["label"])
        groups = read_groups(source, reading, labelled=labelled)
        check_features(model, groups, reading, source)
        x, y = list(groups.x), numbers_of(groups, model.classes, source) if labelled else None
    inputs = model.inputs(x)
    counts = None if y is None else confusion(y, model.predict(x), len(model.classes))
    return Data(source, inputs.rows() if hasattr(inputs, "rows") else list(inputs), confusion=counts)


def _has(source: str, reading: Any, name: str) -> bool:
    """Whether a table has a column."""
    from pylstm.commands._shared.reading import open_table

    return name in open_table(source, reading, ()).names


def _forecast(source: str, reading: Any, about: Any, model: Any) -> Data:
    from pylstm.commands._shared.continued import read_other

    if source.endswith(ARRAYS):
        found = read_arrays(source)
        extras = read_arrays(source, "known", len(found)) if model.M else None
        if not model.joint:
            found = [each[:, 0] if each.ndim == 2 and each.shape[1] == 1 else each for each in found]
        return Data(source, model.inputs(found if len(found) > 1 else found[0], extras))
    read = read_other(source, reading, about)
    values = [each.values for each in read.series]
    known = [each[: len(own)] for each, own in zip(read.known, values)] if read.known[0].shape[1] else None
    if model.joint and len(values) == model.K > 1:  # its series are columns of one
        if len(set(map(len, values))) > 1:
            raise ValueError(f"{source}: the model forecasts {model.K} series jointly: they must have the same steps")
        return Data(source, model.inputs(np.stack(values, axis=1), known and known[:1]))
    return Data(source, model.inputs(values[0] if read.single else values, known), series=read)


def _of_net(args: argparse.Namespace, model: Any) -> Data:
    """Sequences for a layer, a `SequenceModel` or an estimator without a task, of its dtype."""
    net, path = getattr(model, "model_", model), str(args.data)
    layer, aux = getattr(net, "layer", net), None
    if widths := aux_of(layer):
        found, aux = _with_aux(args, layer, widths)
    else:
        found = read_arrays(path) if path.endswith(ARRAYS) else _table(args)
    if getattr(net, "embedding", None) is not None:
        return Data(path, [_indices(each, net.embedding.count, path) for each in found])
    return Data(path, _numbers(path, model, layer, found), aux=aux)


def aux_of(layer: Any) -> dict[str, int]:
    """Names and widths of the per-step inputs of all single layers, but for the input itself."""
    return {name: each.widths[name] for each in layer.recurrents for name in each.cell.contract.aux if name != "x"}


def _with_aux(args: argparse.Namespace, layer: Any, widths: dict[str, int]) -> tuple[list[np.ndarray], Any]:
    """Sequences, and the per-step inputs of each: arrays of an .npz file, or columns of a table.

    Raises
    ------
    ValueError
        One is not in the file, or has another shape.
    """
    path = str(args.data)
    if path.endswith(ARRAYS):
        found = read_arrays(path)
        others = {name: read_arrays(path, name, len(found)) for name in widths}
    else:
        both = _table(args, tuple(widths))
        found = [each[:, : -len(widths)] for each in both]
        others = {name: [each[:, [at]] for each in both] for at, name in enumerate(widths, -len(widths))}
    for name, width in widths.items():
        others[name] = [each[:, None] if each.ndim == 1 else each for each in others[name]]
        for x, each in zip(found, others[name]):
            if each.shape != (len(x), width):
                raise ValueError(f"{path}: {name} must have shape ({len(x)}, {width}) beside x, got {each.shape}")
        if len(others[name]) != len(found):
            raise ValueError(f"{path}: x has {len(found)} sequences, {name} has {len(others[name])}")
    named = [{name: np.asarray(arrays[k], layer.dtype) for name, arrays in others.items()} for k in range(len(found))]
    return found, named


def _numbers(path: str, model: Any, layer: Any, found: list[np.ndarray]) -> list[np.ndarray]:
    """Sequences of numbers of the layer's dtype, scaled as an estimator scales them."""
    width, scaled = layer.input_size, hasattr(model, "x_scale_")
    for each in found:
        if each.ndim != 2 or each.shape[1] != width:
            raise ValueError(f"{path}: sequences must have shape (T, {width}), one number an input, got {each.shape}")
    if scaled:
        found = [(each - model.x_mean_) / model.x_scale_ for each in found]
    return [np.asarray(each, layer.dtype) for each in found]


def _indices(each: np.ndarray, count: int, path: str) -> np.ndarray:
    flat = each[:, 0] if each.ndim == 2 and each.shape[1] == 1 else each
    if flat.ndim != 1 or not (flat == np.rint(flat)).all() or flat.min(initial=0) < 0 or flat.max(initial=0) >= count:
        raise ValueError(f"{path}: sequences must be indices in 0..{count - 1}, of shape (T,), got {each.shape}")
    return flat.astype(np.int64)


def read_arrays(path: str, name: str = "x", count: int = 0) -> list[np.ndarray]:
    """Sequences of a file of NumPy: an array (T,), (T, I) or (N, T, I); of several the one called x, with lengths.

    Or several without names, as ``np.savez(file, *sequences)`` writes them. Another `name`: what comes with the steps
    of `count` sequences, (N, T) too.

    Raises
    ------
    OSError, ValueError
        The file cannot be read, or holds something else.
    """
    held = _held(path)
    if name == "x" and len(held) > 1 and all(re.fullmatch(r"arr_\d+", each) for each in held):
        return [each for array in held.values() for each in _rows(path, name, array, None, 1)]
    x = held.get(name, next(iter(held.values())) if name == "x" and len(held) == 1 else None)
    if x is None:
        cure = "the sequences must be called x"
        if name != "x":
            cure = f"the model takes {name} at every step, too: pass an .npz file with x and {name}"
        raise ValueError(f"{path}: holds the arrays {', '.join(held) or 'none'}: {cure}")
    return _rows(path, name, x, held.get("lengths"), count)


def _rows(path: str, name: str, x: np.ndarray, lengths: np.ndarray | None, count: int) -> list[np.ndarray]:
    """The sequences in an array."""
    if 0 in x.shape:
        raise ValueError(f"{path}: {name} is empty, an array of shape {x.shape}: there is nothing to look at")
    if x.dtype.kind not in "biuf" or x.ndim not in (1, 2, 3):
        raise ValueError(f"{path}: {name} must be numbers of shape (T,), (T, I) or (N, T, I), got {x.dtype}, {x.shape}")
    if x.ndim == 2 and count > 1:
        x = x[:, :, None]
    if x.ndim < 3:
        return [x]
    if lengths is None:
        return list(x)
    if lengths.shape != x.shape[:1] or lengths.dtype.kind not in "iu":
        raise ValueError(f"{path}: lengths must be integers of shape ({len(x)},), got {lengths.dtype}, {lengths.shape}")
    if wrong := [(k, n) for k, n in enumerate(lengths.tolist()) if not 0 <= n <= x.shape[1]]:
        k, n = wrong[0]
        raise ValueError(f"{path}: lengths must be from 0 to {x.shape[1]}, the steps of {name}, got {n} at index {k}")
    return [each[:n] for each, n in zip(x, lengths)]


def _held(path: str) -> dict[str, np.ndarray]:
    """The arrays of a file of NumPy by name; one without a name is x."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: does not exist")
    try:
        with open(path, "rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return {name: loaded[name] for name in loaded.files} if hasattr(loaded, "files") else {"x": loaded}
    except (ValueError, EOFError, OSError, BadZipFile) as error:
        raise ValueError(f"{path}: cannot be read as a file of NumPy: {error}") from None


def _table(args: argparse.Namespace, aux: tuple[str, ...] = ()) -> list[np.ndarray]:
    """Sequences of a CSV file: one for each id, or all rows as one; the columns `aux` last."""
    from pylstm.commands._shared.reading import TABLE, open_table, time_column_of
    from pylstm.commands._shared.sequences import read_groups

    reading = {name: getattr(args, name, None) for name in ("label", "id", "columns", *TABLE)}
    if isinstance(reading["columns"], str):
        reading["columns"] = [name.strip() for name in reading["columns"].split(",")]
    table = open_table(args.data, reading, ())
    time = time_column_of(table, reading, tuple(reading["columns"] or ()))
    columns = reading["columns"] or [name for name in table.names if name not in (time, args.label, args.id, *aux)]
    for name in aux:
        if name not in table.names:
            raise ValueError(f"{args.data}: has no column {name}, which {args.model} takes at every step")
    columns = [*columns, *aux]
    if args.id is not None:
        return list(read_groups(args.data, reading | {"columns": columns}, labelled=False).x)
    return [table.read(columns, [], gaps=bool(reading["interpolate"])).numbers]
