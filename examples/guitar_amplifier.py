"""Model a guitar amplifier: a small LSTM learns a circuit from its input and output, and goes into a plugin.

    pip install .                   # in a clone of pylstm
    python examples/guitar_amplifier.py [--quick]

Circuit and guitar are simulated: a stage with two diodes and a capacitor (Yeh et al. 2007), solved sample by sample,
and plucked strings (Karplus & Strong 1983). On notes that were not heard 0.5 % of the energy is error, after 1.8 s of
training; of the best curve without memory, a polynomial, 12 %. RTNeural's and .nam files of the net are read back.
"""

import argparse
import math
import tempfile
import time

import numpy as np

import pylstm
from pylstm.interop import nam, rtneural
from pylstm.optim import cosine

RATE, PIECE, SKIP = 44100, 512, 64


def guitar(seconds: float, seed: int) -> np.ndarray:
    """Six notes a second: noise goes round a string one period long, and is smoothed each time."""
    rng, sound = np.random.default_rng(seed), np.zeros(int(seconds * RATE))
    for begin in range(0, len(sound), RATE // 6):
        string, note = rng.uniform(-1, 1, int(RATE / (82.4 * 2 ** (rng.integers(36) / 12)))), []
        while sum(map(len, note)) < len(sound) - begin:
            note.append(string)
            string = 0.498 * (string + np.roll(string, 1))
        sound[begin:] += rng.uniform(0.06, 0.3) * np.concatenate(note)[: len(sound) - begin]
    return sound


def amplifier(sound: np.ndarray, finer: int = 4) -> np.ndarray:
    """dv/dt = (u - v) / RC - 2 I/C sinh(v / V), with u the input, 4.5 times as loud, and steps four times finer."""
    (rc, leak, heat), dt = (2200 * 10e-9, 2 * 2.52e-9 / 10e-9, 45.3e-3), 1 / (RATE * finer)
    v, before, out = 0.0, 0.0, []
    for now in (4.5 * sound).tolist():
        for k in range(1, finer + 1):
            u, old = before + (now - before) * k / finer, v
            for _ in range(3):  # Newton's method for an implicit step
                gap = v - old - dt * ((u - v) / rc - leak * math.sinh(v / heat))
                v -= gap / (1 + dt * (1 / rc + leak / heat * math.cosh(v / heat)))
        before = now
        out.append(v)
    return np.array(out)


def main(quick: bool) -> None:
    """Train, test on other notes, write the files."""
    x, x_test = guitar(2 if quick else 4, seed=0), guitar(2, seed=1)
    y, y_test = amplifier(x), amplifier(x_test)
    sound, wanted = (each[: len(x) // PIECE * PIECE].reshape(-1, PIECE, 1).astype("float32") for each in (x, y))
    counted = np.broadcast_to(np.arange(PIECE) >= SKIP, sound.shape[:2])  # not while the state builds up
    start = time.perf_counter()
    model = pylstm.SequenceModel("lstm", 1, 16, 1, read="every", seed=0)
    epochs = 25 if quick else 40
    schedule = cosine(0.01, steps=epochs * -(-len(sound) // 16))
    pylstm.fit(model, (sound, wanted, counted), epochs=epochs, batch_size=16, schedule=schedule)
    took = time.perf_counter() - start
    played = model.predict(x_test[None, :, None].astype("float32"))[0, :, 0]
    curve = np.polynomial.Polynomial.fit(x, y, 9)(x_test)
    for name, made in {"LSTM of 16 units": played, "polynomial": curve}.items():
        print(f"{name:16}  {np.sum((made - y_test) ** 2) / np.sum(y_test**2):.4f} of the energy is error")
    print(f"trained in {took:.1f} s")
    with tempfile.TemporaryDirectory() as folder:
        for kind, name in ((rtneural, "amplifier.json"), (nam, "amplifier.nam")):
            kind.save(model, f"{folder}/{name}")
            again = kind.load(f"{folder}/{name}")(x_test[:, None].astype("float32"))[:, 0]
            print(f"{name}, read back, differs by {np.abs(again - played).max():.0e}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at small scale")
    main(parser.parse_args().quick)
