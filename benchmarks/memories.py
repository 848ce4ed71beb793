"""Cells with a matrix in the state: training time beside the LSTM, a loop in PyTorch, and PyTorch by chunks.

    python -P benchmarks/memories.py [--cells NAME,...] [--sizes BxTxH,...] [--rounds N]

Cells of the zoo with one head, keys and values as wide as the hidden size (of retnet: pairs of keys). Outputs and
gradients of those with a loop in PyTorch are compared first. A pass is forward and backward from the input on, float32,
one thread; contestants take turns, medians. By chunks of 16, 32 or 64 steps, whichever is fastest: products of matrices
in a chunk, a loop over chunks, as in Yang et al. (2024), Gated linear attention, and Yang, Kautz & Hatamizadeh (2025),
Gated delta networks. A step: `stream.step` of one row.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from contest.choices import chosen, sizes, whole

import pylstm

CELLS = ("gla", "gated_deltanet", "mlstm", "hgrn2", "retnet", "deltanet", "rwkv7")
"""Those of the zoo; the first three have loops in PyTorch here, the first two also forms by chunks."""


TAU = 16
"""Of the decays of gla."""


def gla_loop(torch: Any, z: dict[str, Any]) -> Any:
    """Step by step; all (T, B, H)."""
    q, k, v, a = z["q"] * z["q"].shape[-1] ** -0.5, z["k"], z["v"], (torch.nn.functional.logsigmoid(z["a"]) / TAU).exp()
    S, out = torch.zeros(*q.shape[1:], q.shape[-1]), []
    for t in range(len(q)):
        S = a[t, :, :, None] * S + k[t, :, :, None] * v[t, :, None]
        out.append((q[t, :, None] @ S)[:, 0])
    return torch.stack(out)


def gla_chunks(torch: Any, z: dict[str, Any], size: int) -> Any:
    """The same by chunks of `size` steps."""
    q, k, v, a = (each.transpose(0, 1) for each in (z["q"], z["k"], z["v"], z["a"]))
    S, out = torch.zeros(len(q), q.shape[-1], q.shape[-1]), []
    for t in range(0, q.shape[1], size):
        one = slice(t, t + size)
        b = torch.nn.functional.logsigmoid(a[:, one]).cumsum(1) / TAU
        queries, keys = q[:, one] * q.shape[-1] ** -0.5 * b.exp(), k[:, one] * (-b).exp()
        out.append((queries @ keys.transpose(1, 2)).tril() @ v[:, one] + queries @ S)
        last = b[:, -1:]
        S = last.exp().transpose(1, 2) * S + (k[:, one] * (last - b).exp()).transpose(1, 2) @ v[:, one]
    return torch.cat(out, 1).transpose(0, 1)


def _delta(torch: Any, z: dict[str, Any]) -> tuple[Any, ...]:
    """q, k, v, the logarithm of the decay, and b."""

    def unit(x: Any) -> Any:
        x = torch.nn.functional.silu(x)
        return x / (x.square().sum(-1, keepdim=True) + 1e-6).sqrt()

    decay = -z["rate"].exp() * torch.nn.functional.softplus(z["a"])
    return unit(z["q"]) * z["q"].shape[-1] ** -0.5, unit(z["k"]), z["v"], decay, z["b"].sigmoid()


def delta_loop(torch: Any, z: dict[str, Any]) -> Any:
    """Step by step."""
    q, k, v, a, b = _delta(torch, z)
    a = a.exp()
    S, out = torch.zeros(*q.shape[1:], q.shape[-1]), []
    for t in range(len(q)):
        S = a[t, :, :, None] * S
        new = b[t] * (v[t] - (k[t, :, None] @ S)[:, 0])
        S = S + k[t, :, :, None] * new[:, None]
        out.append((q[t, :, None] @ S)[:, 0])
    return torch.stack(out)


def delta_chunks(torch: Any, z: dict[str, Any], size: int) -> Any:
    """The same by chunks, in which a triangular system holds what the steps take from each other."""
    q, k, v, a, b = (each.transpose(0, 1) for each in _delta(torch, z))
    S, out = torch.zeros(len(q), q.shape[-1], q.shape[-1]), []
    for t in range(0, q.shape[1], size):
        one = slice(t, t + size)
        g = a[:, one].cumsum(1)
        decay = (g - g.transpose(1, 2)).tril().exp().tril()
        keys, system = k[:, one] * b[:, one], torch.eye(g.shape[1])
        system = system + ((keys @ k[:, one].transpose(1, 2)) * decay).tril(-1)
        both = torch.cat([v[:, one] * b[:, one], keys * g.exp()], -1)
        u, w = torch.linalg.solve_triangular(system, both, upper=False).chunk(2, -1)
        new = u - w @ S
        out.append((q[:, one] * g.exp()) @ S + ((q[:, one] @ k[:, one].transpose(1, 2)) * decay) @ new)
        last = g[:, -1:]
        S = last.exp() * S + (k[:, one] * (last - g).exp()).transpose(1, 2) @ new
    return torch.cat(out, 1).transpose(0, 1)


def mlstm_loop(torch: Any, z: dict[str, Any]) -> Any:
    """Step by step."""
    q, k, v, i, f, o = (z[name] for name in "qkvifo")
    S, n, m = torch.zeros(*q.shape[1:], q.shape[-1]), torch.zeros(q.shape[1:]), torch.zeros(q.shape[1], 1)
    log_f, out = torch.nn.functional.logsigmoid(f), []
    for t in range(len(q)):
        before, m = m, torch.maximum(log_f[t] + m, i[t]).clamp(min=0)
        decay = (log_f[t] + before - m).exp()
        write = (i[t] - m).exp() * k[t] * q.shape[-1] ** -0.5
        S = decay[..., None] * S + write[..., None] * v[t, :, None]
        n = decay * n + write
        least = torch.maximum((n * q[t]).sum(-1, keepdim=True).abs(), (-m).exp())
        out.append(o[t].sigmoid() * (q[t, :, None] @ S)[:, 0] / least)
    return torch.stack(out)


LOOPS = {"gla": gla_loop, "gated_deltanet": delta_loop, "mlstm": mlstm_loop}
CHUNKS = {"gla": gla_chunks, "gated_deltanet": delta_chunks}


class Peer:
    """The cell in PyTorch, from the weights of `layer`."""

    def __init__(self, layer: Any, x: np.ndarray, dy: np.ndarray, recurrence: Callable[..., Any], *more: int) -> None:
        import torch

        torch.set_num_threads(1)
        self.torch, self.recurrence, self.more = torch, recurrence, more
        self.weight = torch.tensor(layer.params["weight_x"], requires_grad=True)
        self.widths = {gate: layer.widths[gate] for gate in layer.cell.contract.gates}
        biased = np.repeat([gate in layer.cell.contract.biased for gate in self.widths], list(self.widths.values()))
        bias = np.zeros(len(biased), x.dtype)
        bias[biased] = layer.params["bias"]
        self.bias = torch.tensor(bias, requires_grad=True)
        self.own = {name: torch.tensor(layer.params[name], requires_grad=True) for name in layer.cell.contract.params}
        self.x, self.dy = torch.tensor(x, requires_grad=True), torch.tensor(dy)

    def __call__(self) -> tuple[Any, Any]:
        self.weight.grad = self.bias.grad = self.x.grad = None
        parts = self.torch.nn.functional.linear(self.x, self.weight, self.bias).split(list(self.widths.values()), -1)
        y = self.recurrence(self.torch, dict(zip(self.widths, parts)) | self.own, *self.more)
        y.backward(self.dy)
        return y, self.weight.grad


def measured(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each; all take turns, the first round does not count."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            found[name].append(time.perf_counter() - start)
    return {name: median(each[1:]) for name, each in found.items()}


def case(name: str, B: int, T: int, H: int, rounds: int) -> str:
    """One row of the table."""
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(size=(T, B, H)).astype("float32") for _ in range(2))
    layer, lstm = pylstm.Recurrent(name, H, H, seed=0), pylstm.LSTM(H, H, seed=0)
    works: dict[str, Callable[[], Any]] = {
        "pylstm": lambda: layer(x).backward(dy),
        "lstm": lambda: lstm(x).backward(dy),
    }
    works |= {"loop": Peer(layer, x, dy, LOOPS[name])} if name in LOOPS else {}
    works |= {f"chunks of {size}": Peer(layer, x, dy, CHUNKS[name], size) for size in (16, 32, 64) if name in CHUNKS}
    run = layer(x)
    gradient = run.backward(dy).params["weight_x"]
    for peer, work in works.items():
        if isinstance(work, Peer):
            y, weight = (each.detach().numpy() for each in work())
            for ours, theirs in ((run.y, y), (gradient, weight)):
                off = np.abs(ours - theirs).max() / np.abs(theirs).max()
                if not off < 1e-3:
                    raise SystemExit(f"{name}, {peer}: differs from pylstm by {off:.1e} of the largest number")
    times = measured(works, rounds)
    stream = layer.stream(1)
    step = min(measured({"step": lambda: [stream.step(each) for each in x[:50, :1]]}, 20).values()) / min(T, 50)
    ours, chunks = times["pylstm"], [each for key, each in times.items() if key.startswith("chunks")]
    cells = [f"{ours * 1e3:.2f}", f"{ours / times['lstm']:.1f}"]
    cells += [f"{times['loop'] / ours:.1f}" if "loop" in times else ""]
    cells += [f"{min(chunks) / ours:.2f}" if chunks else "", f"{step * 1e6:.1f}"]
    return f"| {name} | {B} | {T} | {H} | {' | '.join(cells)} |"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", help=f"of {', '.join(CELLS)}")
    parser.add_argument("--sizes", type=sizes("BTH", "32x100x64"), help="BxTxH,...")
    parser.add_argument("--rounds", type=whole(2), default=7, help="the first does not count")
    args = parser.parse_args(arguments)
    pylstm.set_num_threads(1)
    print("| cell | B | T | H | training, ms | / LSTM | loop / it | best chunks / it | a step, us |\n|" + " --- |" * 9)
    for name in chosen(parser, "--cells", args.cells, CELLS):
        for size in args.sizes or [(32, 100, 64), (1, 100, 32), (1, 1000, 64), (8, 1000, 64)]:
            print(case(name, *size, args.rounds), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
