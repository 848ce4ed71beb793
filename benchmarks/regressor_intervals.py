"""Share of targets within intervals of a `SequenceRegressor`, calibrated and the net's own.

Twelve seeds, 300 sequences of 12 steps each, 2000 new ones: values with Student errors whose spread changes with the
last step, and overdispersed counts.

    python -P benchmarks/regressor_intervals.py
"""

import argparse
import warnings

import numpy as np

import pylstm

LEVELS = (0.5, 0.8, 0.9)
LOSSES = ("gaussian", "student_t", "quantile", "poisson", "negative_binomial")


def drawn(loss, rng, N):
    """Sequences (N, 12, 1) and targets (N,)."""
    x = rng.normal(size=(N, 12, 1))
    total = x.sum(axis=(1, 2))
    if loss in LOSSES[3:]:
        return x, rng.poisson(np.exp(1 + 0.15 * total) * rng.gamma(2, 0.5, size=N)).astype(float)
    return x, total + (0.3 + 0.5 * np.abs(x[:, -1, 0])) * rng.standard_t(5, size=N)


def shares(loss, calibrate, seed):
    """Shares inside, of each level."""
    rng = np.random.default_rng(seed)
    (x, y), (new, target) = drawn(loss, rng, 300), drawn(loss, rng, 2000)
    net = pylstm.SequenceRegressor("gru", 8, loss=loss, calibrate=calibrate, random_state=seed).fit(x, y)
    ends = [net.predict_interval(new, level) for level in LEVELS]
    return [np.mean((low <= target) & (target <= high)) for low, high in ends]


def main():
    """Print a row of the table for each loss."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    warnings.simplefilter("ignore")
    for loss in LOSSES:
        found = [np.mean([shares(loss, each, seed) for seed in range(12)], axis=0) for each in ("auto", False)]
        cells = [", ".join(f"{100 * share:.0f}" for share in each) + " %" for each in found]
        print(f'| `"{loss}"` | {" | ".join(cells)} |', flush=True)


if __name__ == "__main__":
    main()
