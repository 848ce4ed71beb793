"""What options of the commands take: names, numbers, sizes, files; with an error that says what is taken.

All but `chosen` are for `type=` of `add_argument`, or return a function for it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PLOTS = (".pdf", ".png", ".svg")


def chosen(parser: argparse.ArgumentParser, option: str, given: str | None, known: Sequence[str]) -> list[str]:
    """The names in `given`, each once, or all where it is None; an unknown one ends the program with what there is."""
    names = list(known) if given is None else list(dict.fromkeys(given.split(",")))
    unknown = [name or "an empty name" for name in names if name not in known]
    if unknown:
        parser.error(f"{option}: {', '.join(unknown)} is not known; there are {', '.join(known)}")
    return names


def whole(least: int = 1, most: int | None = None, why: str = "") -> Callable[[str], int]:
    """Takes whole numbers from `least` to `most`, which is `why`."""
    limits = f"of at least {least}" if most is None else f"in {least}..{most}"

    def number(text: str) -> int:
        try:
            found = int(text)
        except ValueError:
            found = least - 1
        if found < least or (most is not None and found > most):
            raise argparse.ArgumentTypeError(
                f"must be a whole number {limits}{f', {why}' if why else ''}, got {text!r}"
            )
        return found

    return number


def positive(text: str) -> float:
    """A finite number above 0."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0 such as 0.5, got {text!r}")
    return found


def size(names: str, example: str) -> Callable[[str], tuple[int, ...]]:
    """Takes a number of at least 1 for each of `names`, with x between them."""

    def numbers(text: str) -> tuple[int, ...]:
        parts = text.split("x")
        if len(parts) != len(names) or not all(part.isdecimal() and int(part) for part in parts):
            form = "x".join(names)
            raise argparse.ArgumentTypeError(
                f"must be {len(names)} whole numbers of at least 1, {form} such as {example}, got {text!r}"
            )
        return tuple(map(int, parts))

    return numbers


def sizes(names: str, example: str) -> Callable[[str], list[tuple[int, ...]]]:
    """Takes several of `size` with commas between them."""
    one = size(names, example)
    return lambda text: [one(each) for each in text.split(",")]


def in_words(several: Sequence[Sequence[int]]) -> str:
    """What `sizes` takes."""
    return ",".join("x".join(map(str, each)) for each in several)


def to_read(text: str) -> str:
    """A file that is there."""
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text} {'is not a file' if Path(text).exists() else 'does not exist'}")
    return text


def to_write(text: str) -> str:
    """A file that can be written: what takes minutes to measure is not lost then."""
    path, folder = Path(text), Path(text).absolute().parent
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"{text} cannot be written: make the folder {folder} first")
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise argparse.ArgumentTypeError(
            f"{text} cannot be written: {'a folder' if path.is_dir() else 'no permission'}"
        )
    return text


def to_plot(text: str) -> str:
    """A picture that can be written."""
    if Path(text).suffix.lower() not in PLOTS:
        raise argparse.ArgumentTypeError(f"must end in {' or '.join(PLOTS)}, got {text}")
    if find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError("a plot needs matplotlib: pip install matplotlib")
    return to_write(text)


def results(*keys: str, row: Sequence[str] = (), target: Sequence[str] = ()) -> Callable[[str], dict[str, Any]]:
    """Takes a file of ``--json``, and loads it: with `keys`, those of each row of its works and of each target."""

    def load(text: str) -> dict[str, Any]:
        try:
            found = json.loads(Path(to_read(text)).read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise argparse.ArgumentTypeError(f"{text} is not JSON, as --json writes it: {error}") from None
        missing = _missing(found, keys, "")
        for number, work in enumerate([] if missing else found["works"]):
            place = f"works[{number}]."
            missing += _missing(work, ("name", "title", "rows", "targets"), place)
            for name, needed in () if missing else (("rows", row), ("targets", target)):
                for k, each in enumerate(work[name]):
                    missing += _missing(each, needed, f"{place}{name}[{k}].")
        if missing:
            raise argparse.ArgumentTypeError(f"{text} is not what --json of this command writes: no {missing[0]}")
        return found

    return load


def _missing(found: Any, keys: Sequence[str], place: str) -> list[str]:
    """Those of `keys` that are not in `found`; of works, rows and targets, those that are not lists."""
    there = found if isinstance(found, dict) else {}
    lists = ("works", "rows", "targets")
    return [place + key for key in keys if key not in there or (key in lists and not isinstance(there[key], list))]
