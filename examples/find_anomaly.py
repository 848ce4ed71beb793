"""Find the heart beat that went wrong, with a net that has seen healthy ones only.

    pip install '.[data]'           # in a clone of pylstm
    python examples/find_anomaly.py [--quick]

Arterial blood pressure, 7501 samples of a sensor ("InternalBleeding16" of the UCR anomaly archive, in aeon). The
first 1200 are healthy; somewhere behind them 12 are not. A GRU forecasts each sample from all before; where its error
is largest, it points: 2 samples beside them after 0.6 s, with an error 13 times the next. The largest jump finds
them, too, at 6 times the next; the value farthest from the mean is elsewhere.
"""

import argparse
import time

import numpy as np
from aeon.datasets import load_kdd_tsad_135

import pylstm

HEALTHY, WINDOW = 1200, 200


def main(quick: bool) -> None:
    """Train, run over everything, point."""
    pressure, wrong = load_kdd_tsad_135(split="test")
    x = ((pressure - pressure[:HEALTHY].mean()) / pressure[:HEALTHY].std()).astype("float32")[:, None]

    start = time.perf_counter()
    starts = range(0, HEALTHY - WINDOW, 5)
    windows = np.stack([x[first : first + WINDOW + 1] for first in starts])
    model = pylstm.SequenceModel("gru", 1, 32, 1, read="every", seed=0)
    optimiser = pylstm.Adam(model.params, lr=0.01)
    pylstm.fit(model, (windows[:, :-1], windows[:, 1:]), optimiser=optimiser, epochs=12 if quick else 30)
    forecast = model.predict(x[None, :-1])[0]
    took = time.perf_counter() - start

    scores = {
        "error of the GRU": np.abs(forecast - x[1:])[:, 0],
        "largest jump": np.abs(np.diff(x[:, 0])),
        "farthest from the mean": np.abs(x[1:, 0]),
    }
    bad = np.flatnonzero(wrong)
    print(f"wrong are samples {bad[0]} to {bad[-1]} of {len(x)}")
    for name, score in scores.items():
        score[:HEALTHY] = 0
        at = int(score.argmax()) + 1
        away = max(bad[0] - at, at - bad[-1], 0)
        far = np.abs(np.arange(1, len(x)) - at) > WINDOW
        print(f"{name:24}points at {at}, {away} samples away; {score.max() / score[far].max():.2f} times the next")
    print(f"trained and run in {took:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at small scale")
    main(parser.parse_args().quick)
