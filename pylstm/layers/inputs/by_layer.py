"""What is given by layer: lists of one entry for each, and the form of `aux`, `pre` and `blend` in layers of layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def by_layer(what: str, values: Any, count: int) -> list[Any]:
    """`values` as a list of one entry for each of `count` layers."""
    if values is None:
        return [None] * count
    _check_list(what, values, f"{count} layers", count)
    return list(values)


def check_form(layer: Any, what: str, values: Any, whole: str = "", at: str = "") -> None:
    """Refuse per-step inputs of another form than `layer` takes, down to its single layers.

    Errors name the place, such as ``aux[1][0]`` for the forward direction of layer 1, and show the form of the whole.
    """
    whole = whole or f"{what}={form_of(layer, what)}"
    place = what + at
    if hasattr(layer, "parts"):
        parts = list(layer.parts.values())
        if values is None:
            values = [None] * len(parts)
        kind = "directions" if hasattr(layer, "reverse") else "layers"
        _check_list(place, values, f"{len(parts)} {kind}", len(parts), f": {whole}")
        for k, (part, value) in enumerate(zip(parts, values)):
            check_form(part, what, value, whole, f"{at}[{k}]")
    elif values is None:
        if what == "aux" and needed_by(layer):
            names = ", ".join(map(repr, needed_by(layer)))
            raise ValueError(f"{place} must have {names} at every step for cell {layer.cell.name!r}: {whole}")
    elif not isinstance(values, Mapping):
        raise TypeError(f"{place} must be a dict by name, got {type(values).__name__}: {whole}")


def needed_by(layer: Any) -> list[str]:
    """Names of the per-step inputs besides ``x`` that a layer, or a layer in it, cannot do without."""
    if hasattr(layer, "parts"):
        return [name for part in layer.parts.values() for name in needed_by(part)]
    return [name for name in layer.cell.contract.aux if name != "x"]


def form_of(layer: Any, what: str) -> str:
    """How per-step inputs of a stack or of two directions are written, such as ``[{'dt': ...}, {'dt': ...}]``."""
    if not hasattr(layer, "parts"):
        names = needed_by(layer) if what == "aux" else layer.cell.contract.states
        return "{" + ", ".join(f"{name!r}: ..." for name in names) + "}" if names else "None"
    forms = [form_of(part, what) for part in layer.parts.values()]
    same = len(forms) > 2 and len({*forms}) == 1
    return f"[{', '.join([forms[0], '...'] if same else forms)}]"


def _check_list(what: str, values: Any, whom: str, count: int, form: str = "") -> None:
    if not isinstance(values, list | tuple):
        each = whom.split()[1][:-1]
        raise TypeError(f"{what} must be a list with one entry for each {each}, got {type(values).__name__}{form}")
    if len(values) != count:
        raise ValueError(f"{what} must have one entry for each of {whom}, got {len(values)}{form}")
