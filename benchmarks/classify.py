"""`pylstm.SequenceClassifier()` as it comes, beside logistic regression and the nearest neighbour by time warping.

Run: ``python -P benchmarks/classify.py [--part all|tuned|held-out] [--seeds 3] [--only NAME] [--method METHOD]``.

The sets are those of `classify_series`, with the archives' own division into training and test parts. Printed for each:

- the accuracy of logistic regression on the flattened series, standardised number by number, unequal lengths padded
  with 0 or cut to the longest of the training part;
- that of the nearest neighbour by dynamic time warping within a window of 10 % (`aeon`), channels standardised over the
  training part;
- that of the classifier over the seeds: mean, lowest and highest; the method that it took; seconds of one fit;
- the expected calibration error in ten bins, with the temperature taken out of the logits, and as it is.

The defaults were chosen on the sets of ``--part tuned``; on those of ``held-out`` nothing was chosen.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

WINDOW = 0.1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("all", "tuned", "held-out"), default="all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--method", choices=("auto", "random", "trained"), default="auto")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args(arguments)
    folder = str(Path(__file__).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    from classify_series import labelled

    rows = []
    for each in labelled(tuple(options.only)):
        if options.part == "all" or each.tuned == (options.part == "tuned"):
            rows.append(measure(each, options.seeds, options.method))
            print_row(rows[-1], head=len(rows) == 1)
    print_means(rows)
    if options.json:
        Path(options.json).write_text(json.dumps(rows) + "\n")
    return 0


def measure(each: Any, seeds: int, method: str) -> dict[str, Any]:
    from pylstm import SequenceClassifier
    from pylstm.estimators.methods.calibration import calibration_error

    row: dict[str, Any] = {"name": each.name, "tuned": each.tuned, "methods": [], "accuracy": [], "raw": [], "ece": []}
    row |= {"logistic": logistic(each), "dtw": warping(each)}
    start = time.perf_counter()
    nets = [
        SequenceClassifier(random_state=seed, method=method).fit(each.x_train, each.y_train) for seed in range(seeds)
    ]
    row["seconds"] = (time.perf_counter() - start) / seeds
    for net in nets:
        odds, right = net.predict_proba(each.x_test), np.searchsorted(net.classes_, each.y_test)
        row["methods"].append(net.method_)
        row["accuracy"].append(float(np.mean(odds.argmax(axis=1) == right)))
        row["ece"].append(calibration_error(odds, right))
        row["raw"].append(calibration_error(softmax(net.predict_log_proba(each.x_test) * net.temperature_), right))
    return row


def softmax(logits: np.ndarray) -> np.ndarray:
    odds: np.ndarray = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def logistic(each: Any) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    longest = max(map(len, each.x_train))
    train, test = (flat(x, longest) for x in (each.x_train, each.x_test))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return float(model.fit(train, each.y_train).score(test, each.y_test))


def flat(x: Any, longest: int) -> np.ndarray:
    rows = [np.asarray(each)[:longest] for each in x]
    return np.stack([np.pad(each, ((0, longest - len(each)), (0, 0))).ravel() for each in rows])


def warping(each: Any) -> float | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier
    except ImportError:
        return None
    steps = np.concatenate(list(each.x_train))
    mean, scale = steps.mean(axis=0), steps.std(axis=0)
    train, test = ([((np.asarray(row) - mean) / scale).T for row in x] for x in (each.x_train, each.x_test))
    model = KNeighborsTimeSeriesClassifier(n_neighbors=1, distance="dtw", distance_params={"window": WINDOW})
    same = len({row.shape for row in (*train, *test)}) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(np.stack(train) if same else train, each.y_train)
        return float(model.score(np.stack(test) if same else test, each.y_test))


def print_row(row: dict[str, Any], *, head: bool) -> None:
    if head:
        print(
            f"{'set':22} {'logistic':>8} {'1-NN DTW':>8} {'pylstm':>8} {'lowest':>7} {'highest':>7} {'s a fit':>8}",
            end="",
        )
        print(f" {'ECE raw':>8} {'ECE':>6}  method")
    dtw = "-" if row["dtw"] is None else f"{row['dtw']:.3f}"
    values = row["accuracy"]
    print(f"{row['name']:22} {row['logistic']:8.3f} {dtw:>8} {np.mean(values):8.3f} {min(values):7.3f}", end="")
    print(f" {max(values):7.3f} {row['seconds']:8.1f} {np.mean(row['raw']):8.3f} {np.mean(row['ece']):6.3f}", end="")
    print(f"  {', '.join(sorted(set(row['methods'])))}", flush=True)


def print_means(rows: list[dict[str, Any]]) -> None:
    for label, part in (("tuned", True), ("held-out", False), ("all", None)):
        some = [row for row in rows if part is None or row["tuned"] == part]
        if not some:
            continue
        found = [np.mean(row["accuracy"]) for row in some]
        dtw = "-" if any(row["dtw"] is None for row in some) else f"{np.mean([row['dtw'] for row in some]):.3f}"
        print(
            f"{f'mean, {label}, {len(some)} sets':22} {np.mean([row['logistic'] for row in some]):8.3f} {dtw:>8}",
            end="",
        )
        print(f" {np.mean(found):8.3f}; at least logistic regression on ", end="")
        print(sum(value >= row["logistic"] for value, row in zip(found, some)), end="")
        print(f"; ECE {np.mean([row['raw'] for row in some]):.3f} -> {np.mean([row['ece'] for row in some]):.3f}")


if __name__ == "__main__":
    sys.exit(main())
