"""`pylstm.Forecaster` as it comes, beside the naive forecasts and AutoETS: errors, and what its intervals contain.

Run: ``python -P benchmarks/forecasts.py [--quick] [--part all|tuned|held-out] [--seeds 3] [--new]
[--peer darts] [--json FILE]``.

The series are those of `forecast_series`. The end of each is forecast, of the longer ones from three origins one after
another, by a new fit each time; the net's seed is the number of the origin. AutoETS (statsforecast) is told the season,
the forecaster is not; it is left out where it is not installed. Printed for each group of series:

- MASE: mean absolute error by that of the (seasonal) naive forecast inside the training steps; the geometric mean over
  the series of the mean over their origins. One below 0.01 counts as 0.01.
- the share of the series whose MASE is more than 10 % above that of the better of the two naive forecasts.
- the share of the values within intervals of 50, 80, 90 and 95 %, over all series and by horizon.
- the median ratio of the mean widths to those of AutoETS.

Constants of `pylstm.forecasting` were chosen on half of these series, drawn otherwise than the halves of ``--part``, so
that both hold series that were tuned on, some on simulated ones of the seeds 100 to 103. New are those of ``--new``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

LEVELS = (0.5, 0.8, 0.9, 0.95)
LEAST = 0.01
FORECASTS = ("pylstm", "naive", "seasonal naive", "AutoETS", "LSTM of darts")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="every sixth series, one origin: a look, not a result")
    parser.add_argument("--part", choices=("all", "tuned", "held-out"), default="all")
    parser.add_argument("--seeds", type=int, default=3, help="of the simulated series")
    parser.add_argument("--new", action="store_true", help="simulated series alone, of the seeds 3 to 11")
    parser.add_argument("--peer", choices=("darts",), help="also the LSTM of this library, see forecast_peers")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args(arguments)
    series = series_of(options)
    peer = None
    if options.peer:
        from forecast_peers import peer_of

        peer = peer_of(options.peer)
    found = measure(series, 1 if options.quick else 3, peer)
    print_tables(found)
    if options.json:
        Path(options.json).write_text(json.dumps(found) + "\n")
    return 0


def series_of(options: argparse.Namespace) -> list[Any]:
    folder = str(Path(__file__).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    from forecast_series import of_packages, simulated

    if options.new:
        found = [each for seed in range(3, 12) for each in simulated(seed)]
    else:
        found = [*of_packages(), *(each for seed in range(options.seeds) for each in simulated(seed))]
    if options.part != "all":
        found = [each for each in found if is_tuned(each.name) == (options.part == "tuned")]
    return found[::6] if options.quick else found


def is_tuned(name: str) -> bool:
    return crc32(name.encode()) % 2 == 0


def measure(series: list[Any], origins: int, peer: Any = None) -> list[dict[str, Any]]:
    """One dict for each series: MASE by forecast, and what the intervals contain (origins, levels, horizon)."""
    found, start = [], time.perf_counter()
    ets = auto_ets()
    for number, each in enumerate(series):
        row: dict[str, Any] = {"name": each.name, "group": each.group, "season": each.season, "mase": {}}
        row |= {"inside": [], "ratios": [], "method": "", "seconds": 0.0}
        errors: dict[str, list[float]] = {}
        for back in range(1, origins + 1):
            end = len(each.values) - back * each.horizon
            if back > 1 and end < 40:
                break
            y, true = each.values[:end], each.values[end : end + each.horizon]
            forecasts = forecast(y, true, each.season, back, ets, row)
            if peer is not None:
                begin = time.perf_counter()
                forecasts["LSTM of darts"] = peer(y, len(true), back)
                row["seconds of the peer"] = row.get("seconds of the peer", 0.0) + time.perf_counter() - begin
            scale = scale_of(y, each.season)
            for name, values in forecasts.items():
                errors.setdefault(name, []).append(float(np.abs(values - true).mean() / scale))
        row["mase"] = {name: max(LEAST, float(np.mean(values))) for name, values in errors.items()}
        found.append(row)
        if sys.stderr.isatty():
            print(f"\r{number + 1}/{len(series)}, {time.perf_counter() - start:.0f} s", end="", file=sys.stderr)
    return found


def forecast(y: np.ndarray, true: np.ndarray, season: int, seed: int, ets: Any, row: dict[str, Any]) -> dict[str, Any]:
    """The forecasts by name; what the intervals contain goes into `row`."""
    from pylstm import Forecaster, naive, seasonal_naive

    n, start = len(true), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        net = Forecaster(random_state=seed).fit(y)
        found = {"pylstm": net.predict(n), "naive": naive(y, n)}
        shares = [(1 + sign * level) / 2 for level in LEVELS for sign in (-1, 1)]
        ends = np.array(net.predict_quantiles(n, shares)).reshape(len(LEVELS), 2, n)
    row["seconds"] += time.perf_counter() - start
    row["method"] = net.method_[0]
    found["seasonal naive"] = seasonal_naive(y, n, season if len(y) > 2 * season else 1)
    row["inside"].append(((ends[:, 0] <= true) & (true <= ends[:, 1])).astype(int).tolist())
    if ets is not None:
        found["AutoETS"], widths = ets(y, n, season if len(y) > 2 * season else 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = (ends[:, 1] - ends[:, 0]).mean(axis=1) / widths
        row["ratios"].append(np.where(np.isfinite(ratios), ratios, 1.0).tolist())
    return found


def auto_ets() -> Callable[[np.ndarray, int, int], tuple[np.ndarray, np.ndarray]] | None:
    try:
        from statsforecast.models import AutoETS
    except ImportError:
        return None
    names = [round(100 * level) for level in LEVELS]

    def run(y: np.ndarray, n: int, season: int) -> tuple[np.ndarray, np.ndarray]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = AutoETS(season_length=season).forecast(y, n, level=names)
        return np.asarray(out["mean"]), np.array([np.mean(out[f"hi-{k}"] - out[f"lo-{k}"]) for k in names])

    return run


def scale_of(y: np.ndarray, season: int) -> float:
    """Mean absolute error of the naive forecast of the season inside y."""
    m = season if len(y) > 2 * season else 1
    return float(np.abs(y[m:] - y[:-m]).mean()) or float(np.abs(np.diff(y)).mean()) or 1.0


def print_tables(found: list[dict[str, Any]]) -> None:
    names = [name for name in FORECASTS if name in found[0]["mase"]]
    groups = dict.fromkeys(each["group"] for each in found)
    print(f"{len(found)} series, {sum(len(each['inside']) for each in found)} forecasts, ", end="")
    print(f"{sum(each['seconds'] for each in found):.0f} s of fits and forecasts")
    if "seconds of the peer" in found[0]:
        print(f"{sum(each['seconds of the peer'] for each in found):.0f} s of the peer")
    print(f"\n{'MASE, geometric mean':24}" + "".join(f"{name:>16}" for name in names) + f"{'series':>8}")
    for group in (*groups, "all"):
        rows = [each for each in found if group in (each["group"], "all")]
        values = [np.exp(np.mean([np.log(each["mase"][name]) for each in rows])) for name in names]
        print(f"{group:24}" + "".join(f"{value:16.3f}" for value in values) + f"{len(rows):8}")
    print(f"{'worse than naive by 10 %':24}" + "".join(f"{100 * worse(found, name):14.1f} %" for name in names))
    net = [float(each["method"].split(" net")[0].split()[-1]) if " net" in each["method"] else 0 for each in found]
    print(f"\na share of the net in {np.count_nonzero(net)} series")
    print(f"\n{'within intervals of':24}" + "".join(f"{100 * level:8.0f} %" for level in LEVELS))
    inside = [np.mean(each["inside"], axis=(0, 2)) for each in found]
    for group in groups:
        rows = [value for each, value in zip(found, inside) if each["group"] == group]
        print_shares(group, np.mean(rows, axis=0))
    print_shares("all", np.mean(inside, axis=0))
    for h in (1, 2, 3, 4, 5, 6, 8, 12):
        rows = [np.mean(each["inside"], axis=0)[:, h - 1] for each in found if len(each["inside"][0][0]) >= h]
        print_shares(f"step {h}, {len(rows)} series", np.mean(rows, axis=0))
    if found[0]["ratios"]:
        widths = np.median([np.mean(each["ratios"], axis=0) for each in found], axis=0)
        print(f"{'width / AutoETS':24}" + "".join(f"{value:10.2f}" for value in widths))


def worse(found: list[dict[str, Any]], name: str) -> float:
    """Share of the series where a forecast errs 10 % more than the better of the two naive ones."""
    return float(np.mean([e["mase"][name] > 1.1 * min(e["mase"]["naive"], e["mase"]["seasonal naive"]) for e in found]))


def print_shares(label: str, shares: np.ndarray) -> None:
    print(f"{label:24}" + "".join(f"{100 * share:10.1f}" for share in shares))


if __name__ == "__main__":
    sys.exit(main())
