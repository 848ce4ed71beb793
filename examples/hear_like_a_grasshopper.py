"""When does a nerve fire? A neuron in the ear of a grasshopper, from the sound it heard.

    pip install '.[examples]'       # in a clone of pylstm
    python examples/hear_like_a_grasshopper.py [--quick]

Two recordings of an auditory receptor neuron, 10 s each, 929 and 868 spikes, with the loudness of the sound (nitime
ships them). An LSTM reads four values of the loudness for each millisecond and says how likely a spike is in it. It
learns from 7 s of both, stops by the eighth, and says 1.60 and 0.75 bits per spike of the last 2, after 1.6 s; the
model of the textbooks, a linear filter of the last 30 ms and a sigmoid, 0.76 and 0.66.
"""

import argparse
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

import pylstm

PIECE, LAGS = 200, 30


def recording(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Loudness (T, 4), standardised, and spikes (T, 1), 0 or 1, in steps of 1 ms."""
    folder = Path(find_spec("nitime").submodule_search_locations[0]) / "data"
    loudness = np.loadtxt(folder / f"grasshopper_stimulus{number}.txt")[:200_000, 1].reshape(-1, 4, 5).mean(axis=2)
    times = np.loadtxt(folder / f"grasshopper_spike_times{number}.txt")  # microseconds
    spikes = np.histogram(times / 1000, np.arange(len(loudness) + 1))[0] > 0
    return ((loudness - loudness.mean()) / loudness.std()).astype("float32"), spikes[:, None].astype("float32")


def pieces(recordings: list, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of 200 ms (N, PIECE, I) of all recordings, each a quarter of it further on."""
    starts = range(begin, end - PIECE + 1, PIECE // 4)
    return tuple(
        np.stack([each[k : k + PIECE] for r in recordings for each in [r[part]] for k in starts]) for part in (0, 1)
    )


def bits(logits: np.ndarray, spikes: np.ndarray) -> float:
    """How much more than the mean rate the logits say of when spikes come, bits per spike."""
    rate = np.full_like(logits, np.log(spikes.mean() / (1 - spikes.mean())))
    lost = [pylstm.sigmoid_cross_entropy(each, spikes, reduction="sum")[0] for each in (rate, logits)]
    return (lost[0] - lost[1]) / spikes.sum() / np.log(2)


def main(quick: bool) -> None:
    """Train both, and compare on the last 2 s."""
    recordings = [recording(1), recording(2)]

    start = time.perf_counter()
    net = pylstm.SequenceModel("lstm", 4, 32, 1, read="every", loss="sigmoid_cross_entropy", seed=0)
    optimiser = pylstm.Adam(net.params, lr=0.005)
    held = pieces(recordings, 7000, 8000)
    epochs = 30 if quick else 100
    pylstm.fit(net, pieces(recordings, 0, 7000), optimiser=optimiser, epochs=epochs, validation=held, patience=8)
    took = time.perf_counter() - start

    past = [np.stack([np.roll(x.mean(axis=1), lag) for lag in range(LAGS)], axis=1) for x, _ in recordings]
    linear = LogisticRegression(max_iter=1000)
    linear.fit(np.concatenate([x[LAGS:8000] for x in past]), np.concatenate([y[LAGS:8000, 0] for _, y in recordings]))
    print(f"bits per spike, last 2 s, more than the mean rate says; LSTM trained in {took:.1f} s")
    for number, ((x, y), lags) in enumerate(zip(recordings, past), 1):
        ours, theirs = net.predict(x[None])[0], linear.decision_function(lags)[:, None].astype("float32")
        print(f"recording {number}: LSTM {bits(ours[8000:], y[8000:]):.2f}, filter {bits(theirs[8000:], y[8000:]):.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at small scale")
    main(parser.parse_args().quick)
