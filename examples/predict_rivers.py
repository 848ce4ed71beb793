"""How much water will a river carry? One EA-LSTM for many catchments, told what each is like.

    pip install .                   # in a clone of pylstm
    python examples/predict_rivers.py [--quick]

80 catchments are simulated, five years each, with four properties. The EA-LSTM (Kratzert et al. 2019) reads rain,
temperature and sun; the properties open its input gates. It learns from 60 in 6 s. On the others its median efficiency
(Nash-Sutcliffe: 1 is perfect, 0 the mean) is 0.91, of an LSTM without properties 0.86, with them as inputs 0.93.
"""

import argparse
import time

import numpy as np

import pylstm
from pylstm.optim import cosine

LEARN, YEAR, COUNTED = 60, 365, np.arange(365)[:, None] >= 120


def catchments(number: int, days: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Weather (N, T, 3), properties (N, T, 4) and runoff (N, T, 1)."""
    properties = rng.uniform(size=(number, 4))
    holds, slow, fast, height = (properties * [250, 1.2, 0.7, 8] + [50, 1, 0.1, 0]).T
    season = np.cos(2 * np.pi * np.arange(days) / YEAR)[:, None] * np.ones(number)
    rain = rng.exponential(9, (days, number)) * (rng.random((days, number)) < 0.35)
    warm, sun = 9 - 10 * season + rng.normal(scale=3, size=rain.shape) - height, 2.2 - 1.8 * season
    snow, soil, quick, ground, runoff = 0 * holds, holds / 2, 0 * holds, 10**slow, 0 * rain
    for t in range(days):
        water = np.minimum(snow, 3 * np.maximum(warm[t], 0)) + rain[t] * (warm[t] >= 0)
        snow, leaves = snow + rain[t] - water, (soil / holds) ** 2 * water
        soil = soil + water - leaves - np.minimum(sun[t], soil) * soil / holds
        leaves, soil = leaves + np.maximum(soil - holds, 0), np.minimum(soil, holds)
        runoff[t] = 0.4 * quick + ground / 10**slow
        quick, ground = 0.6 * quick + fast * leaves, (1 - 10**-slow) * ground + (1 - fast) * leaves
    weather, daily = np.stack([rain.T / 9, warm.T / 10, sun.T], -1), np.repeat(2 * properties[:, None] - 1, days, 1)
    return tuple(each.astype("float32") for each in (weather, daily, runoff.T[..., None] / runoff.std()))


class Rivers:
    """A recurrent layer and a linear head: `params` and `gradients` are all that `pylstm.fit` asks a model for."""

    def __init__(self, cell: str, input_size: int, **sizes: int) -> None:
        self.layer = pylstm.Recurrent(cell, input_size, 32, batch_first=True, seed=0, **sizes)
        self.layer.initialise("gate_bias", "f", 3.0)  # a memory of seasons
        self.head = pylstm.Linear(32, 1, seed=0)
        self.params = [self.layer.params, self.head.params]

    def run(self, weather: np.ndarray, daily: np.ndarray) -> tuple:
        """Run the layer and the head."""
        x = np.concatenate([weather, daily], axis=-1)[..., : self.layer.input_size]
        body = self.layer(x, aux={"static": daily} if self.layer.cell.aux else None)
        return body, self.head(body.y)

    def gradients(self, weather: np.ndarray, daily: np.ndarray, runoff: np.ndarray) -> tuple:
        """Loss and gradients; the first 120 days do not count."""
        body, head = self.run(weather, daily)
        loss, dy = pylstm.mean_squared_error(head.y, runoff, weights=np.broadcast_to(COUNTED, runoff.shape))
        dhead = head.backward(dy)
        return loss, [body.backward(dhead.x).params, dhead.params]


def main(quick: bool) -> None:
    """Train three models, each on a year at a time; test them on four years of the other rivers."""
    data, epochs = catchments(80, 5 * YEAR, np.random.default_rng(0)), 24 if quick else 60
    years = tuple(np.concatenate([a[:LEARN, k : k + YEAR] for k in range(0, 4 * YEAR, 245)]) for a in data)
    weather, daily, runoff = (each[LEARN:] for each in data)
    for cell, inputs, sizes in (("ea_lstm", 3, {"static_size": 4}), ("lstm", 3, {}), ("lstm", 7, {})):
        start, model = time.perf_counter(), Rivers(cell, inputs, **sizes)
        pylstm.fit(model, years, schedule=cosine(0.01, steps=12 * epochs), clip=1.0, epochs=epochs)
        missed = np.mean((model.run(weather, daily)[1].y - runoff)[:, YEAR:] ** 2, 1) / runoff[:, YEAR:].var(axis=1)
        print(f"{cell:8} {inputs} inputs: efficiency {1 - np.median(missed):.2f}, {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at small scale")
    main(parser.parse_args().quick)
