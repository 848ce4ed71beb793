"""`chosen`: names given by an option, ``NAME,...``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def chosen(parser: argparse.ArgumentParser, option: str, given: str | None, known: Sequence[str]) -> list[str]:
    """The names in `given`, or all where it is empty; an unknown one ends the program with what there is."""
    names = given.split(",") if given else list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"{option}: {', '.join(unknown)} is not known; there are {', '.join(known)}")
    return names
