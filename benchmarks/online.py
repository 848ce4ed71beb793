"""Time of a step that learns, by rule and cell: ``python benchmarks/online.py``.

A step is `OnlineStream.step` and `OnlineStream.learn`, of one row, in float32, called from Python as a user does; the
last column has a step of `pylstm.SGD` besides. ``--whole``: nets without a shorter way. ``--long``: ten million steps
with Adam, and the memory of the process on the way.
"""

import argparse
import resource
import time

import numpy as np

import pylstm

NETS = [
    ("mingru", "rtrl"), ("minlstm", "rtrl"), ("indrnn", "rtrl"), ("qrnn_f", "rtrl"), ("sru", "rtrl"),
    ("rg_lru", "rtrl"), ("lru", "rtrl"), ("paralstm", "rtrl"), ("gru", "snap1"), ("lstm", "snap1"), ("lstm", "eprop"),
]  # fmt: skip


STACKS = [("mingru", 2), ("mingru", 3), ("sru", 2)]

WHOLE = [("lru", 16, 2), ("gru", 16, 1), ("mamba", 16, 1), ("s4d", 16, 1), ("s4d", 64, 1)]
"""Cells, units and layers that keep the influence of all parameters on all states."""


def microseconds(stream, x, dy, *, learns=False, optimiser=None, repeat=5, steps=2000):
    """The least of some means of time of a step."""
    best = np.inf
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(steps):
            stream.step(x)
            if learns:
                grads = stream.learn(dy)
            if optimiser:
                optimiser.step(grads)
        best = min(best, (time.perf_counter() - start) / steps * 1e6)
    return best


def row(name, online, layer, steps=2000):
    """A line of the table."""
    x, dy = np.random.default_rng(0).normal(size=(2, max(layer.input_size, layer.output_size))).astype("float32")
    x, dy = x[: layer.input_size].copy(), dy[: layer.output_size].copy()
    sgd = pylstm.SGD(layer.params, lr=1e-9)
    times = [microseconds(layer.stream(), x, dy, steps=steps)]
    for learns, optimiser in ((False, None), (True, None), (True, sgd)):
        stream = layer.stream(online=online)
        times.append(microseconds(stream, x, dy, learns=learns, optimiser=optimiser, steps=steps))
    print(f"{name:10} {online:6} " + " ".join(f"{each:8.2f}" for each in times), flush=True)


def table(inputs, hidden):
    """Layers, and stacks of them."""
    print(f"I = {inputs}, H = {hidden}, float32, microseconds: plain stream; step; step, learn; step, learn, SGD")
    for cell, online in NETS:
        row(cell, online, pylstm.Recurrent(cell, inputs, hidden, seed=0))
    for cell, count in STACKS:
        layers = [pylstm.Recurrent(cell, hidden if k else inputs, hidden, seed=k) for k in range(count)]
        row(f"{cell} x{count}", "rtrl", pylstm.Stack(layers), steps=50)


def whole():
    """What has no shorter way."""
    print("I = 8, float32, microseconds: plain stream; step; step, learn; step, learn, SGD")
    for cell, hidden, count in WHOLE:
        layers = [pylstm.Recurrent(cell, hidden if k else 8, hidden, seed=k) for k in range(count)]
        row(f"{cell} {hidden} x{count}", "rtrl", pylstm.Stack(layers), steps=20)


def long(steps, hidden=16):
    """Steps of one minGRU that learns the sum of its last inputs, and what the process holds."""
    layer = pylstm.Recurrent("mingru", 1, hidden, seed=0)
    stream, adam = layer.stream(online="rtrl"), pylstm.Adam(layer.params, lr=1e-3)
    noise = np.random.default_rng(0).normal(size=(1000, 1)).astype("float32")
    dy, mean, error, start = np.zeros(hidden, "float32"), 0.0, 0.0, time.perf_counter()
    for t in range(1, steps + 1):
        x = noise[t % 1000]
        mean = 0.9 * mean + 0.4 * float(x[0])
        dy[0] = stream.step(x)[0] - mean
        error += (dy[0] ** 2 - error) / min(t, 1000)
        adam.step(stream.learn(dy))
        if t in (10**5, 10**6, steps):
            with open("/proc/self/statm") as file:
                resident = int(file.read().split()[1]) * resource.getpagesize() / 2**20
            took = (time.perf_counter() - start) / t * 1e6
            print(f"{t:9} steps  {resident:7.1f} MiB  squared error {error:.4f}  {took:.1f} us a step", flush=True)


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--inputs", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--long", type=int, nargs="?", const=10**7, metavar="STEPS")
    parser.add_argument("--whole", action="store_true", help="nets that keep all parameters on all states")
    given = parser.parse_args()
    if given.whole:
        whole()
        return
    if given.long:
        long(given.long)
        return
    for inputs in given.inputs:
        table(inputs, given.hidden)


if __name__ == "__main__":
    main()
