"""BrainTrace's tasks, learned online and through time: ``python -P benchmarks/online_tasks.py``.

    python -P benchmarks/online_tasks.py [--tasks NAME,...] [--methods NAME,...] [--peers braintrace] [--updates N]
                                         [--hidden H] [--rows B] [--seeds S] [--length N]

Copying, an integrator, delayed match to sample and evidence accumulation (Wang et al. 2026, and the examples of their
package), made here, with a GRU, a minGRU and spiking units that adapt. Every method has the same net, first parameters,
batches and Adam: only the gradient differs. A sequence is an update, as in theirs; the loss counts its last steps.

``rtrl``, ``snap1``, ``eprop``: `layer.stream(online=...)`; ``bptt``: the layer's own backward. ``--peers braintrace``
adds D_RTRL, SnAp of order 1, pp_prop and back-propagation of that package where it is installed, compiled by JAX, whose
clock starts after the first update.

Columns: loss, and share that is right, of 256 rows that are not trained on, mean and range over seeds; cosine of the
gradient with that of `bptt` on the first batch; microseconds a step of all rows, the least of all updates; MiB that the
process grew by in its updates. Each method of a task has a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from contest.choices import chosen, whole
from contest.of_braintrace import METHODS as THEIRS
from contest.of_braintrace import gradient_of
from contest.online_problems import PROBLEMS, Problem, judged

import pylstm

OURS = ("bptt", "rtrl", "snap1", "eprop")
HELD_OUT = 256


def net_of(problem: Problem, hidden: int, seed: int) -> tuple[Any, Any]:
    """The layer and the head of a seed."""
    layer = pylstm.Recurrent(problem.cell, problem.inputs, hidden, seed=seed)
    return layer, pylstm.Linear(layer.output_size, problem.outputs, seed=seed + 1000)


def through_time(problem: Problem, layer: Any, head: Any, x: Any, target: Any) -> tuple[Any, Any]:
    """The outputs of the scored steps, and the gradient of all parameters by back-propagation."""
    late = problem.steps - problem.scored
    run = layer(x)
    read = head(np.ascontiguousarray(run.y[late:]))
    back = read.backward(judged(problem, read.y, target)[2])
    dy = np.zeros_like(run.y)
    dy[late:] = back.x
    return read.y, np.concatenate([run.backward(dy).params.flat, back.params.flat])


def online(problem: Problem, layer: Any, head: Any, stream: Any, x: Any, target: Any) -> tuple[Any, Any]:
    """The same, step by step: the sum of what `learn` returns."""
    late, share = problem.steps - problem.scored, 1 / problem.scored
    y, total, dhead = [], layer.params.zeros_like(), head.params.zeros_like()
    stream.reset()
    for t in range(problem.steps):
        h = stream.step(x[t])
        if t >= late:
            read = head(h)
            back = read.backward(judged(problem, read.y[None], target[t - late, None])[2][0] * np.float32(share))
            total += stream.learn(back.x)
            dhead += back.params
            y.append(read.y)
    return np.array(y), np.concatenate([total.flat, dhead.flat])


def gradient(method: str, problem: Problem, layer: Any, head: Any, rows: int) -> Any:
    """``f(x, target)`` of a method."""
    if method in THEIRS:
        return gradient_of(method, problem, layer, head, rows)
    if method == "bptt":
        return lambda x, target: through_time(problem, layer, head, x, target)
    stream = layer.stream(rows, online=method)
    return lambda x, target: online(problem, layer, head, stream, x, target)


def learned(method: str, problem: Problem, given: Any, seed: int) -> dict[str, float]:
    """One net, trained: its loss and score on what it has not seen, a step's time, the first gradient's cosine."""
    layer, head = net_of(problem, given.hidden, seed)
    grads = [layer.params.zeros_like(), head.params.zeros_like()]
    adam = pylstm.Adam([layer.params, head.params], lr=problem.lr)
    of, rng, took = gradient(method, problem, layer, head, given.rows), np.random.default_rng(seed), []
    truth, held = net_of(problem, given.hidden, seed), problem.draw(np.random.default_rng(10**6), HELD_OUT)
    cosine = np.nan
    for k in range(given.updates):
        x, target = problem.draw(rng, given.rows)
        start = time.perf_counter()
        flat = of(x, target)[1]
        took.append(time.perf_counter() - start)
        if k == 0:
            exact = through_time(problem, *truth, x, target)[1]
            cosine = float(flat @ exact / np.linalg.norm(flat) / np.linalg.norm(exact))
        grads[0].flat[...], grads[1].flat[...] = flat[: grads[0].size], flat[grads[0].size :]
        pylstm.clip_by_norm(grads, 1.0)
        adam.step(grads)
    loss, score, _ = judged(problem, through_time(problem, layer, head, *held)[0], held[1])
    each = min(took[1:] or took) / problem.steps * 1e6
    return {"loss": loss, "score": score, "cosine": cosine, "us": each}


def worker(task: str, method: str, given: Any) -> None:
    """All seeds of a method on a task, as a line of JSON."""
    problem = PROBLEMS[task][0](given.length or PROBLEMS[task][1])
    if method in THEIRS:
        import braintrace  # noqa: F401

    problem.draw(np.random.default_rng(0), given.rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    layer, head = net_of(problem, given.hidden, 0)
    of, batch = gradient(method, problem, layer, head, given.rows), problem.draw(np.random.default_rng(0), given.rows)
    for _ in range(3):
        of(*batch)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps([learned(method, problem, given, seed) | {"mib": grown} for seed in range(given.seeds)]))


def row(task: str, method: str, given: Any, options: list[str]) -> None:
    """A line of the table, from a process of its own."""
    command = [sys.executable, "-P", __file__, *options, "--worker", task, method]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"| {task} | {_label(method)} | {why} | | | | |", flush=True)
        return
    found = {
        name: [each[name] for each in json.loads(done.stdout)] for name in ("loss", "score", "cosine", "us", "mib")
    }
    spans = [
        f"{np.mean(found[name]):.3g} ({min(found[name]):.3g}-{max(found[name]):.3g})" for name in ("loss", "score")
    ]
    if not PROBLEMS[task][0](PROBLEMS[task][1]).classes:
        spans[1] = ""
    print(
        f"| {task} | {_label(method)} | {spans[0]} | {spans[1]} | {np.mean(found['cosine']):.4f} | "
        f"{min(found['us']):.0f} | {found['mib'][0]:.0f} |",
        flush=True,
    )


def _label(method: str) -> str:
    return f"BrainTrace {method}" if method in THEIRS else method


def methods_of(problem: Problem, methods: list[str]) -> list[str]:
    """Those that make a difference: RTRL of a dense net keeps all parameters on all units, and takes hours here."""
    alone = problem.cell == "mingru"
    return [each for each in methods if each not in (("snap1", "eprop", "SnAp") if alone else ("rtrl",))]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", help=", ".join(PROBLEMS))
    parser.add_argument("--methods", help=", ".join(OURS + THEIRS))
    parser.add_argument("--peers", choices=["braintrace"])
    parser.add_argument("--updates", type=whole(), default=300)
    parser.add_argument("--hidden", type=whole(), default=100)
    parser.add_argument("--rows", type=whole(), default=32)
    parser.add_argument("--seeds", type=whole(), default=3)
    parser.add_argument("--length", type=whole(), help="of the pause, or of the integrator's second, in steps")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(*given.worker, given)
        return
    if given.peers and find_spec("braintrace") is None:
        parser.error("--peers braintrace: the package is not installed: pip install braintrace")
    known = OURS + (THEIRS if given.peers else ())
    tasks, methods = (
        chosen(parser, "--tasks", given.tasks, list(PROBLEMS)),
        chosen(parser, "--methods", given.methods, known),
    )
    print(f"H = {given.hidden}, B = {given.rows}, {given.updates} updates, {given.seeds} seeds, float32\n")
    print("| task | gradient | loss | right | cosine | us a step | MiB |\n|---|---|---|---|---|---|---|")
    for task in tasks:
        for method in methods_of(PROBLEMS[task][0](given.length or PROBLEMS[task][1]), methods):
            row(task, method, given, sys.argv[1:])


if __name__ == "__main__":
    main()
