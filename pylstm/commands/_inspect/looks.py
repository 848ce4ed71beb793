"""`looks_at`: runs of the recurrent layers of a model over some of its data, and what is found in each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

ROWS, STEPS = 16, 300
"""Most sequences, and most steps of each, that are run."""
WORK = 2e11
"""Multiplications and additions that the gradients by lag of a layer may take: some seconds."""
PER_STEP = 12
"""Those of a lag for each step and parameter: two backward passes of three products."""
ENOUGH = 52
"""Lags for which sequences of a large layer are left out."""
FEWEST = 13
"""Lags that are looked at however large a layer is."""
MOST_LAGS = 200


@dataclass
class Look:
    """One layer of one cell: its name, its run, its gradients by lag, and what is found."""

    name: str
    run: Any
    dy: np.ndarray
    by_lag: Any
    findings: list[Any]


def looks_at(model: Any, sequences: list[np.ndarray], aux: Any = None) -> tuple[list[Look], list[np.ndarray]]:
    """A `Look` at every single recurrent layer, and the sequences that were run; `aux` beside each, as `Data` has them.

    Raises
    ------
    ValueError
        No sequence has a step.
    """
    net = getattr(model, "model_", getattr(model, "net", model))
    chosen = [k for k, each in enumerate(sequences) if len(each)][:ROWS]
    rows = [sequences[k][:STEPS] for k in chosen]
    if not rows:
        raise ValueError("the data have no steps")
    largest = max(each.params.size for each in recurrent_of(model).recurrents)
    rows = rows[: max(1, int(WORK / (ENOUGH * PER_STEP * largest * max(map(len, rows)))))]
    x, lengths = _batch(rows)
    given = {name: _batch([aux[k][name][:STEPS] for k in chosen[: len(rows)]])[0] for name in aux[0]} if aux else {}
    run = _run(net, x, lengths, given)
    looks = [_look(name, each) for name, each in _leaves(run, "")]
    _told_once(looks)
    return looks, rows


def recurrent_of(model: Any) -> Any:
    """The recurrent part of a layer or model; None where there is none."""
    net = getattr(model, "model_", getattr(model, "net", model))
    layer = getattr(net, "layer", net)
    return layer if hasattr(layer, "recurrents") else None


def _batch(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Steps first, (T, B, ...), and the lengths where they differ."""
    lengths = np.array([len(each) for each in rows])
    x = np.zeros((lengths.max(), len(rows), *rows[0].shape[1:]), rows[0].dtype)
    for number, each in enumerate(rows):
        x[: len(each), number] = each
    return x, None if (lengths == lengths[0]).all() else lengths


def _run(net: Any, x: np.ndarray, lengths: np.ndarray | None, aux: dict[str, np.ndarray]) -> Any:
    from pylstm.models.body import without_dropout

    layer = without_dropout(getattr(net, "layer", net))
    embedding = getattr(net, "embedding", None)
    if embedding is not None:
        x = embedding(x).y
    if layer.batch_first:
        x, aux = _rows_first(x), {name: _rows_first(each) for name, each in aux.items()}
    return layer(x, lengths=lengths, aux=_for_layers(layer, aux) if aux else None)


def _rows_first(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.swapaxes(0, 1))


def _for_layers(layer: Any, aux: dict[str, np.ndarray]) -> Any:
    """Per-step inputs by name as `layer` takes them: of a composite a list with those that each part has."""
    if parts := getattr(layer, "parts", None):
        return [_for_layers(each, aux) for each in parts.values()]
    return {name: aux[name] for name in layer.cell.contract.aux if name in aux} or None


def _leaves(run: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Runs of single layers with their names: ``layer 1, reverse``."""
    if hasattr(run, "forward"):
        yield from _leaves(run.forward, f"{name}, forward" if name else "forward direction")
        yield from _leaves(run.reverse, f"{name}, reverse" if name else "reverse direction")
    elif hasattr(run, "layers"):
        for number, each in enumerate(run.layers):
            yield from _leaves(each, f"layer {number}")
    else:
        yield name or "layer 0", run


def _look(name: str, run: Any) -> Look:
    from pylstm.diagnostics import diagnose, gradient_by_lag

    dy = np.random.default_rng(0).normal(size=run.y.shape).astype(run.layer.dtype)
    finite = np.isfinite(run.y).all() and all(np.isfinite(each).all() for each in run.states.values())
    by_lag = gradient_by_lag(run, dy, lags=_lags(run)) if finite else None
    return Look(name, run, dy, by_lag, diagnose(run, by_lag=by_lag, name=name))


def _told_once(looks: list[Look]) -> None:
    """Say where NaN or infinity begins; what comes from there into other layers has no cure of its own."""
    from pylstm.diagnostics import Finding
    from pylstm.layers.runs.steps import input_of

    first = next((each.name for each in looks if any(one.kind == "not finite" for one in each.findings)), None)
    for look in looks:
        reached = any(one.kind == "not finite" for one in look.findings) and not np.isfinite(input_of(look.run)).all()
        if reached and look.name != first:
            text = f"the input of {look.name} is NaN or infinite, too: see what is said of {first}"
            look.findings = [Finding("not finite", text)]


def _lags(run: Any) -> int:
    """The number of lags that `WORK` allows: each costs two backward passes of all steps."""
    each = PER_STEP * run.layer.params.size * run._T * run._B
    return int(min(MOST_LAGS, run._T, max(FEWEST, WORK // max(1, each))))
