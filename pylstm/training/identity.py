"""`identity_of`: what two fits must have in common for one to continue from a checkpoint of the other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from pylstm.data.batches import Data, digest_of
from pylstm.data.iterables import Batches
from pylstm.described import Layer
from pylstm.kinds import describe
from pylstm.optim.optimisers import Optimiser
from pylstm.optim.schedules import Plateau

SETTINGS = ("batch_size", "clip", "shuffle", "seed", "patience")
"""Settings of a `Trainer` that its checkpoints hold as they are."""


def identity_of(trainer: Any) -> dict[str, Any]:
    """Record of a run in its checkpoints: settings, layers with the options of their cells, data; as from JSON."""
    layout = [{name: list(shape) for name, shape in each.shapes.items()} for each in trainer.params]
    found = {name: getattr(trainer, name) for name in SETTINGS} | trainer.made_with
    found |= {
        "parameters": layout,
        "model": model_of(trainer.model),
        "data": _data(trainer.data),
        "validation": _data(trainer.validation),
    }

    def kind(value: Any) -> Any:  # of what JSON does not hold: what it prints may have its address in it
        return value.item() if isinstance(value, np.generic) else type(value).__qualname__

    said: dict[str, Any] = json.loads(json.dumps(dict(_entries("", found)), default=kind))
    return said


def _data(data: Data | Batches | None) -> str | None:
    """Digest of arrays; of batches, which are not read for it, what makes them."""
    return data if data is None else data.kind if isinstance(data, Batches) else digest_of(data)


def made_with(optimiser: Any, schedule: Any) -> dict[str, Any]:
    """Optimiser and schedule with their settings, before the first step changes any; of functions the name.

    Not the rate of an optimiser that has a schedule, which sets it before every step.
    """
    kind = "none" if schedule is None else getattr(schedule, "__qualname__", type(schedule).__name__)
    settings = _settings_of(optimiser)
    if schedule is not None:
        settings.pop("lr", None)
    return {
        "optimiser": {"": type(optimiser).__name__} | settings,
        "schedule": {"": kind} | ({"settings": repr(schedule)} if isinstance(schedule, Plateau) else {}),
    }


_LEFT = "_left_by_a_fit"
"""Attribute of an optimiser: its settings as the user made them, and those that its last fit has left it with.

Not a weak dictionary: a Ctrl-C in the callback with which an optimiser leaves one would be lost.
"""


@contextmanager
def settings_remembered(optimiser: Any) -> Iterator[None]:
    """Block around a fit: its changes of the settings of `optimiser`, by callbacks too, are not the user's."""
    before = _settings_of(optimiser)
    try:
        yield
    finally:
        if isinstance(optimiser, Optimiser):
            vars(optimiser)[_LEFT] = before, _present(optimiser)


def _settings_of(optimiser: Any) -> dict[str, Any]:
    """The settings of an optimiser as the user made them."""
    before, left = vars(optimiser).get(_LEFT, ({}, None)) if isinstance(optimiser, Optimiser) else ({}, None)
    now = _present(optimiser)
    return dict(before) if now == left else now


def _present(optimiser: Any) -> dict[str, Any]:
    return {name: getattr(optimiser, name) for name in getattr(optimiser, "settings", ())}


def model_of(model: Any) -> dict[str, Any]:
    """Class, layers and settings of a model: of one that can be saved its `parts` and `metadata`, or its layers."""
    parts = getattr(model, "parts", None)
    if not isinstance(parts, Mapping):
        parts = {name: each for name, each in getattr(model, "__dict__", {}).items() if isinstance(each, Layer)}
    metadata = getattr(model, "metadata", None)
    settings = {name: value for name, value in metadata.items() if name != "rng"} if isinstance(metadata, dict) else {}
    found = {"class": type(model).__qualname__, "training": getattr(model, "training", None)} | settings
    return found | {name: layer_of(each) for name, each in parts.items()}


def layer_of(layer: Any) -> dict[str, Any]:
    """Description of a layer in files; the repr, for a layer that cannot be saved.

    Examples
    --------
    >>> import pylstm
    >>> layer_of(pylstm.Recurrent("cornn", 3, 5, dt=0.01))["options"]["dt"]
    0.01
    """
    if not isinstance(layer, Layer):
        return {"class": type(layer).__qualname__}
    try:
        return _digested(describe(layer))
    except (TypeError, ValueError):
        return {"layer": repr(layer)}


def _digested(described: dict[str, Any]) -> dict[str, Any]:
    """A description with a short digest of what its cell computes in place of the numbers."""
    import hashlib  # here: 4 ms of the import of pylstm

    out = {name: value for name, value in described.items() if name not in ("probe", "layers", "frozen")}
    if "probe" in described:
        rounded = {
            name: [None if each is None else f"{each:.5g}" for each in values]
            for name, values in described["probe"].items()
        }
        out["values of the cell"] = hashlib.sha256(json.dumps(rounded).encode()).hexdigest()[:12]
    return out | {str(k): _digested(each) for k, each in enumerate(described.get("layers", ()))}


def _entries(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    """All that nested dicts hold, by names with dots."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _entries(f"{where}.{name}".strip("."), each)
    else:
        yield where, value
