"""Continuations of a series by the net of a `ForecastModel`, and its back-test beside smoothing and naive forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pylstm.data.sequences import Sequences
from pylstm.forecasting.blending import Blend, horizon_of
from pylstm.forecasting.conformal import needed_origins
from pylstm.forecasting.rolling import LONGEST
from pylstm.wording import warn

KEPT_RESIDUALS = 2000
"""Most residuals that a model keeps to draw intervals from."""
ORIGINS = 60
"""Most origins of a series from which the net is judged."""
JUDGED = 64
"""Most series of a panel on which the net is judged."""


def continue_series(
    model: Any, n: int, y: np.ndarray, extra: np.ndarray, scale: Any, rows: int, rng: Any
) -> np.ndarray:
    """Read the end of one series (T, K), then as many forecasts as are needed for n steps: (rows, n, K)."""
    if len(y) <= model.preparation.lost:
        raise ValueError(f"the history must have more than {model.preparation.lost} steps, got {len(y)}")
    z = model.preparation.apply(y)
    scale = model._scale_of(z) if scale is None else scale
    z = ((z - scale[0]) / scale[1])[-model.window :]
    extra = ((extra - model.extra_scale[0]) / model.extra_scale[1])[-(len(z) + n - 1) :]  # of the step after each z
    stream, read, blocks = model.net.layer.stream(rows), 0, []
    chunk = np.repeat(z[:, None], rows, axis=1)
    while True:
        steps = np.repeat(extra[read : read + len(chunk), None], rows, axis=1)
        read += len(chunk)
        x = np.concatenate([chunk, steps], axis=2).astype(model.net.head.dtype)
        features = stream.feed(x[:, 0] if rows == 1 else x)[-1].reshape(rows, -1)
        block = _block(model, model.net.head(features).y, scale, rng)
        blocks.append(block)
        if len(blocks) * model.horizon >= n:
            break
        chunk = block.swapaxes(0, 1)
    forecasts = np.concatenate(blocks, axis=1)[:, :n]
    out: np.ndarray = model.preparation.undo(y, forecasts * scale[1] + scale[0])
    return np.rint(out) if model.head.counts else out


def _block(model: Any, out: np.ndarray, scale: np.ndarray, rng: Any) -> np.ndarray:
    """The next steps (rows, horizon, K) of the standardised series, from the outputs of the net (rows, ...)."""
    shape = len(out), model.horizon, model.K
    if model.head.spread:
        exposure = np.tile(scale[1], model.horizon) if model.head.counts else 1.0
        return np.asarray(model.head.sample(out, rng, exposure) / exposure).reshape(shape)
    block = out.reshape(shape).astype("float64")
    return block if rng is None else block + model.residuals[rng.integers(len(model.residuals), size=shape[0])]


def columns_of(series: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The single columns (T_i,) of series (T_i, K), one after another."""
    return [each[:, k] for each in series for k in range(each.shape[1])]


def fit_blend(model: Any, series: list[np.ndarray], extras: list[np.ndarray], cuts: list[int]) -> Blend:
    """Back-test of all series; of the net from the origins behind the first `cuts` steps, which it was trained on."""
    steps = horizon_of([len(each) for each in series], model.cycle)
    nets: list[tuple[np.ndarray, np.ndarray]] = []
    judged = set(np.linspace(0, len(series) - 1, min(len(series), JUDGED)).astype(int).tolist())
    for k, (y, extra, cut, scale) in enumerate(zip(series, extras, cuts, model.scales)):
        last = len(y) - 2
        origins = np.arange(max(cut - 1, len(y) - LONGEST), last + 1)
        origins = origins[:: max(1, -(-len(origins) // ORIGINS))] if k in judged else origins[:0]
        ahead = [min(steps, last + 1 - int(at)) for at in origins]
        found = [
            continue_series(model, n, y[: at + 1], extra[: at + 1 + n], scale, 1, None)[0]
            for at, n in zip(origins, ahead)
        ]
        for column in range(model.K):
            forecasts = np.full((len(origins), steps), np.nan)
            for row, each in zip(forecasts, found):
                row[: len(each)] = each[:, column]
            nets.append((origins, forecasts))
    inputs = [extra for extra in extras for _ in range(model.K)]
    blend = Blend.fit(columns_of(series), model.cycle, nets, steps, inputs)
    warn_of_naive(blend)
    warn_of_inputs(blend, inputs)
    return blend


def forecast_blend(model: Any, n: int, given: Sequence[Any], rescale: bool) -> tuple[Blend, Any, Any]:
    """The blend, the points (n,) of all columns, and the sizes of their late errors."""
    series, extras, scales = given
    blend, K = model.blend, model.K
    inputs = [extra for extra in extras for _ in range(K)]
    if rescale:
        known = [each[: len(each) - n] for each in inputs]
        blend = Blend.fit(columns_of(series), model.cycle, float(blend.columns[0].net), blend.horizon, known)
    nets: list[np.ndarray] = []
    for k, each in enumerate(zip(series, extras, scales)):
        needed = any(column.net for column in blend.columns[k * K : (k + 1) * K])
        nets += list(continue_series(model, n, *each, 1, None)[0].T if needed else np.zeros((K, n)))
    return blend, *blend.forecast(columns_of(series), nets, n, inputs)


def residuals_of(net: Any, horizon: int, K: int, x: Any, y: Any, mask: Any = None) -> np.ndarray:
    """Targets minus forecasts (R, horizon, K) at the judged steps; of training windows at their second halves."""
    out, rows = net.predict(x), len(x)
    lengths = x.lengths if isinstance(x, Sequences) else np.full(rows, x.shape[1])
    y, mask = (each.padded if isinstance(each, Sequences) else each for each in (y, mask))
    at = np.arange(out.shape[1])
    taken = (at >= lengths[:, None] // 2) if mask is None else mask
    taken = taken & (at < lengths[:, None])
    residuals: np.ndarray = (y - out)[taken].reshape(-1, horizon, K).astype("float64")
    keep = np.random.default_rng(0).permutation(len(residuals))[:KEPT_RESIDUALS]
    return residuals[np.sort(keep)]


def warn_of_naive(blend: Blend) -> None:
    """Warn where the back-test leaves nothing but the naive forecast."""
    beaten = [each for each in blend.columns if not each.share]
    if not beaten:
        return
    kind = "the last season repeated" if all(each.seasonal for each in beaten) else "the last value repeated"
    if len({each.seasonal for each in beaten}) > 1:
        kind = "the last value or season repeated"
    of = "" if len(blend.columns) == 1 else f" of {len(beaten)} of {len(blend.columns)} series"
    warn(f"in the back-test nothing was better by 10 % than the naive forecast{of}, {kind}: that is the forecast")


def warn_of_inputs(blend: Blend, inputs: Sequence[np.ndarray]) -> None:
    """Warn where inputs that vary have no share in a forecast."""
    vary = [bool(len(each)) and bool(np.ptp(each, axis=0).any()) for each in inputs]
    blind = [varies and not each.reads_inputs for each, varies in zip(blend.columns, vary)]
    if not any(blind):
        return
    of = "" if len(blind) == 1 else f" of {sum(blind)} of {len(blind)} series"
    warn(f"in the back-test the known inputs did not lower the error{of}: the forecast does not depend on them")


def warn_of_constants(extras: Sequence[np.ndarray]) -> None:
    """Warn of inputs that have one value in all series."""
    same = np.all([(each == extras[0][:1]).all(axis=0) for each in extras], axis=0)
    if not same.any():
        return
    columns = np.flatnonzero(same).tolist()
    which, one = (f"columns {columns}", "never vary") if len(columns) > 1 else (f"column {columns[0]}", "never varies")
    warn(f"{which} of the known inputs {one} in the fit: nothing says what a change does, leave it out")


def warn_of_level(blend: Blend, level: float, n: int) -> None:
    """Warn where the back-test has too few origins for a level n steps ahead, and say how many it needs."""
    short = [each.calibration for each in blend.columns if level > each.calibration.highest(n) + 1e-12]
    if not short:
        return
    needed = needed_origins(level, min(n, blend.horizon))
    warn(
        f"an interval of level {level:.6g} so many steps ahead needs forecasts from {needed} origins of the back-test, "
        f"there are {min(each.origins for each in short)}: its ends are extrapolated by Student's t; take a longer "
        "series, a lower level or fewer steps"
    )


def warn_of_short(blend: Blend, series: Sequence[np.ndarray], fitted: Sequence[int]) -> None:
    """Warn where a series to continue is too short for what the back-test chose.

    Parameters
    ----------
    blend : Blend
    series : sequence of ndarray (T_i, K)
    fitted : sequence of int
        Lengths of the series of the fit, which may have been shorter themselves.
    """
    K = series[0].shape[1]
    for number, (each, length) in enumerate(zip(series, fitted)):
        columns = blend.columns[number * K : number * K + K]
        if len(each) >= (needed := min(length, max(column.needed(blend.cycle) for column in columns))):
            continue
        of = f" of series {number}" if len(series) > 1 else ""
        warn(
            f"the history{of} has {len(each)} step{'s'[: len(each) > 1]}, and the forecast, "
            f"{columns[0].describe(blend.cycle)}, needs "
            f"{needed} to be as good as in the back-test: pass the whole series, the new steps at its end"
        )
        return
