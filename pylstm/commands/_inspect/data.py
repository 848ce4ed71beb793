"""`data_for`: what the recurrent layers of a saved model see of a file."""

from __future__ import annotations

import argparse
import os
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
    """

    source: str
    sequences: list[np.ndarray]
    confusion: Any = None
    series: Any = None


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
        return Data(str(args.data), _of_net(args, model))
    reading, source = reading_of(args, str(task), about), data_of(args, about)
    return {"text": _text, "classify": _classify, "forecast": _forecast}[str(task)](source, reading, about, model)


def _text(source: str, reading: Any, about: Any, model: Any) -> Data:
    from pylstm.datasets import manual_topics, read_text

    if source.endswith(ARRAYS):
        return Data(source, [_indices(each, len(model.vocabulary), source) for each in read_arrays(source)])
    text = manual_topics() if source == "manual-topics" else read_text(source, minimum=2)
    return Data(source, [model.vocabulary.encode(text, model.vocabulary.smallest)])


def _classify(source: str, reading: Any, about: Any, model: Any) -> Data:
    from pylstm.commands._shared.sequences import NAMES, numbers_of, read_classification, read_groups
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
        return Data(source, model.inputs(found if len(found) > 1 else found[0]))
    read = read_other(source, reading, about)
    values = [each.values for each in read.series]
    known = [each[: len(own)] for each, own in zip(read.known, values)] if read.known[0].shape[1] else None
    return Data(source, model.inputs(values[0] if read.single else values, known), series=read)


def _of_net(args: argparse.Namespace, model: Any) -> list[np.ndarray]:
    """Sequences for a layer, a `SequenceModel` or an estimator without a task, of its dtype."""
    net = getattr(model, "model_", model)
    layer = getattr(net, "layer", net)
    indices = getattr(net, "embedding", None) is not None
    found = read_arrays(args.data) if args.data.endswith(ARRAYS) else _table(args)
    if indices:
        return [_indices(each, net.embedding.count, args.data) for each in found]
    width, scaled = layer.input_size, hasattr(model, "x_scale_")
    for each in found:
        if each.ndim != 2 or each.shape[1] != width:
            raise ValueError(
                f"{args.data}: sequences must have shape (T, {width}), one number an input, got {each.shape}"
            )
    if scaled:
        found = [(each - model.x_mean_) / model.x_scale_ for each in found]
    return [np.asarray(each, layer.dtype) for each in found]


def _indices(each: np.ndarray, count: int, path: str) -> np.ndarray:
    flat = each[:, 0] if each.ndim == 2 and each.shape[1] == 1 else each
    if flat.ndim != 1 or not (flat == np.rint(flat)).all() or flat.min(initial=0) < 0 or flat.max(initial=0) >= count:
        raise ValueError(f"{path}: sequences must be indices in 0..{count - 1}, of shape (T,), got {each.shape}")
    return flat.astype(np.int64)


def read_arrays(path: str) -> list[np.ndarray]:
    """Sequences of a file of NumPy: an array (T,), (T, I) or (N, T, I); of several the one called x, with lengths.

    Raises
    ------
    OSError, ValueError
        The file cannot be read, or holds something else.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: does not exist")
    try:
        with open(path, "rb") as file:
            loaded = np.load(file, allow_pickle=False)
            held = {name: loaded[name] for name in loaded.files} if hasattr(loaded, "files") else {"x": loaded}
    except (ValueError, EOFError, OSError, BadZipFile) as error:
        raise ValueError(f"{path}: cannot be read as a file of NumPy: {error}") from None
    x = held.get("x", next(iter(held.values())) if len(held) == 1 else None)
    if x is None:
        raise ValueError(f"{path}: holds the arrays {', '.join(held) or 'none'}: the sequences must be called x")
    if x.dtype.kind not in "biuf" or x.ndim not in (1, 2, 3) or not x.size:
        raise ValueError(f"{path}: x must be numbers of shape (T,), (T, I) or (N, T, I), got {x.dtype}, {x.shape}")
    if x.ndim < 3:
        return [x]
    lengths = held.get("lengths")
    if lengths is None:
        return list(x)
    if lengths.shape != x.shape[:1] or lengths.dtype.kind not in "iu":
        raise ValueError(f"{path}: lengths must be integers of shape ({len(x)},), got {lengths.dtype}, {lengths.shape}")
    return [each[:n] for each, n in zip(x, lengths)]


def _table(args: argparse.Namespace) -> list[np.ndarray]:
    """Sequences of a CSV file: one for each id, or all rows as one."""
    from pylstm.commands._shared.reading import TABLE, open_table, time_column_of
    from pylstm.commands._shared.sequences import read_groups

    reading = {name: getattr(args, name, None) for name in ("label", "id", "columns", *TABLE)}
    if isinstance(reading["columns"], str):
        reading["columns"] = [name.strip() for name in reading["columns"].split(",")]
    if args.id is not None:
        return list(read_groups(args.data, reading, labelled=False).x)
    table = open_table(args.data, reading, ())
    time = time_column_of(table, reading, tuple(reading["columns"] or ()))
    columns = reading["columns"] or [name for name in table.names if name not in (time, args.label)]
    return [table.read(columns, [], gaps=bool(reading["interpolate"])).numbers]
