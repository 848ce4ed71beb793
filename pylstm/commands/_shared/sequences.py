"""Labelled sequences for ``classify``: a data set by its name, or a CSV file."""

from __future__ import annotations

import hashlib
import os
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pylstm.datasets import Classification, Groups, Table
    from pylstm.models.classify_model import ClassifyModel

NAMES = ("digits", "japanese-vowels")
SHARE = 0.2
"""Default share of the sequences of a CSV file that is held out for testing."""
LOOKED_AT = 5000
"""Rows that are looked at for ids."""


def read_classification(name: str, reading: dict[str, Any], test: str | None, seed: int) -> Classification:
    """Sequences to train on and to test with.

    Parameters
    ----------
    name : str
        One of `NAMES`, or a CSV file.
    reading : dict
        ``label``, ``id``, ``columns``, ``delimiter``, ``interpolate`` of the command; gets the ``columns`` found.
    test : str, optional
        A share, or another CSV file; for CSV files only.
    seed : int
        Of the share that is drawn.

    Raises
    ------
    OSError, ValueError, ModuleNotFoundError
        As `read_table`, `grouped` and the loaders; options that do not go with the data.
    """
    from pylstm.datasets import Classification, digits, japanese_vowels, split_by_class

    if name in NAMES:
        given = [f"--{key}" for key, value in {**reading, "test": test}.items() if value]
        if given:
            raise ValueError(f"{' and '.join(given)}: not for the data set {name}")
        return digits() if name == "digits" else japanese_vowels()
    if not reading["label"]:
        if not os.path.exists(name):
            raise FileNotFoundError(f"{name}: neither a file nor a data set (known: {', '.join(NAMES)})")
        raise ValueError(f"{name}: name the column that holds the class: --label NAME")
    groups = read_groups(name, reading)
    reading["columns"] = list(groups.columns)
    share = _share(test)
    classes = tuple(sorted(set(groups.labels)))
    if len(classes) < 2:
        raise ValueError(f"{name}: the column {reading['label']!r} has one class only, {classes[0]!r}")
    y = numbers_of(groups, classes, name)
    if share is None:
        other = read_groups(str(test), reading)
        return Classification(name, "CSV", groups.x, y, other.x, numbers_of(other, classes, str(test)), classes)
    kept, held = split_by_class(y, share, seed)
    x = groups.x
    return Classification(name, "CSV", [x[k] for k in kept], y[kept], [x[k] for k in held], y[held], classes)


def read_groups(path: str, reading: dict[str, Any], *, labelled: bool = True) -> Groups:
    """Sequences of a CSV file; `reading` gets the name of the column of times that was found."""
    from pylstm.commands._shared.reading import open_table, time_column_of
    from pylstm.datasets import grouped

    table = open_table(path, reading, NAMES)
    label, owner = reading["label"] if labelled else None, reading["id"]
    columns = reading["columns"] or None
    for name in (label, owner, *(columns or ())):
        if name is not None:
            table.position(name)
    used = tuple(name for name in (label, reading["label"], owner, *(columns or ())) if name is not None)
    time = None if owner is None else time_column_of(table, reading, used)
    if owner is None and reading.get("time_column"):
        raise ValueError("--time-column needs --id: without it a row is a whole sequence")
    if owner is None and label is not None:
        _note_ids(table, label, used)
    if not labelled and columns is None:
        columns = [name for name in table.names if name not in (reading["label"], owner, time)]
    reading["time_column"] = time
    return grouped(
        table,
        label=label,
        id=owner,
        columns=columns,
        time=time,
        date_format=reading.get("date_format"),
        utc=bool(reading.get("utc")),
        sort=bool(reading.get("sort")),
        interpolate=bool(reading.get("interpolate")),
    )


def check_features(model: ClassifyModel, groups: Groups, reading: dict[str, Any], path: str) -> None:
    """`ValueError` where the sequences of a file do not have the features of a model."""
    from pylstm.data.views import VIEWS

    wanted = model.scale.shape[1] // VIEWS[model.view]
    found = next((np.shape(each)[-1] for each in groups.x if np.ndim(each) == 2), wanted)
    if found == wanted:
        return
    what = f"{path}: sequences must have {wanted} features at a step, as those of the training, got {found}"
    if reading["id"] is None:
        raise ValueError(f"{what}: every row is a sequence of its own; --id NAME takes the rows of an id as its steps")
    raise ValueError(f"{what}: name the columns of numbers, --columns A,B")


def _note_ids(table: Table, label: str, used: tuple[str, ...]) -> None:
    """Say so where rows of one value of a column follow one another and have one label: they may be a sequence."""
    head, own = table.head(LOOKED_AT), table.position(label)
    for at, name in enumerate(table.names):
        pairs = [(row[at], row[own]) for row in head]
        blocks = 1 + sum(before[0] != after[0] for before, after in pairwise(pairs))
        if name not in used and 1 < blocks == len({each for each, _ in pairs}) == len(set(pairs)) <= len(pairs) // 3:
            print(
                f"note: the rows of each {name!r} follow one another and have one label: --id {name} reads them as a "
                "sequence, without it each row is one",
                file=sys.stderr,
            )
            return


def numbers_of(groups: Groups, classes: tuple[str, ...], path: str) -> np.ndarray:
    """Numbers of the classes of labelled sequences.

    Raises
    ------
    ValueError
        A label is not a class of the model.
    """
    number = {name: k for k, name in enumerate(classes)}
    for name, label in zip(groups.ids, groups.labels):
        if label not in number:
            raise ValueError(f"{path}, sequence {name}: unknown class {label!r} (known: {', '.join(classes)})")
    return np.array([number[label] for label in groups.labels], np.int64)


def _share(test: str | None) -> float | None:
    """A share, or None where `test` is a file."""
    if test is None:
        return SHARE
    try:
        share = float(test)
    except ValueError:
        return None
    if not 0 < share < 1:
        raise ValueError(f"--test must be a share between 0 and 1, or another CSV file, got {test}")
    return share


def digest_of(data: Classification) -> str:
    """Digest of a data set and its split."""
    digest = hashlib.sha256()
    for rows, y in ((data.x, data.y), (data.x_test, data.y_test)):
        digest.update(y.tobytes())
        for row in rows:
            digest.update(f"{row.shape}".encode() + np.ascontiguousarray(row).tobytes())
    return digest.hexdigest()[:16]


def judge(model: ClassifyModel, x: list[np.ndarray], y: np.ndarray) -> dict[str, Any]:
    """Accuracy, cross-entropy and confusions of a model on labelled sequences."""
    from pylstm.models.classify_model import confusion

    p, counts = model.probabilities(x), np.bincount(y, minlength=len(model.classes))
    predicted = p.argmax(axis=1)
    floor = np.finfo("float32").tiny  # a probability of 0 has no logarithm
    return {
        "sequences": len(y),
        "accuracy": float((predicted == y).mean()),
        "cross_entropy": float(-np.log(np.maximum(p[np.arange(len(y)), y], floor)).mean()),
        "most_frequent_class": float(counts.max() / len(y)),
        "classes": list(model.classes),
        "confusion": confusion(y, predicted, len(model.classes)).tolist(),
    }


def print_judgement(found: dict[str, Any], what: str) -> None:
    """Print the result of `judge`."""
    from pylstm.commands._shared.output import print_table

    n, classes = found["sequences"], found["classes"]
    right = sum(row[k] for k, row in enumerate(found["confusion"]))
    print(
        f"{what}: {right} of {n} right, accuracy {found['accuracy']:.2%}, cross-entropy {found['cross_entropy']:.4f} "
        f"(always the most frequent class: {found['most_frequent_class']:.2%})"
    )
    if len(classes) <= 16:
        rows = [(name, *(str(count or ".") for count in row)) for name, row in zip(classes, found["confusion"])]
        print_table(("true \\ predicted", *classes), rows)
