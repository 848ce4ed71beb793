"""How a stream learns: `UnitRule`, influence of units on themselves; `FullRule`, of every parameter on every state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pylstm.checks import Array
from pylstm.layers.streams.online_parts import OnlinePart, engine

MOST = 1 << 27
"""Numbers that the influence of every parameter on every state may have."""


def check_crossings(parts: Sequence[OnlinePart], rows: int, exact: bool) -> None:
    """Refuse a stack whose influence of lower layers on upper ones does not fit."""
    states = [part.online.influence.shape[1] * part.layer.output_size for part in parts] if exact else []
    size = sum(count * part.size for k, count in enumerate(states) for part in parts[:k])
    if rows * size > MOST:
        raise ValueError(
            f"rtrl keeps the influence of the parameters of lower layers on the states of upper ones, {size} numbers "
            f"for each of {rows} rows of this stack: pass online='snap1', or choose a smaller net"
        )


class UnitRule:
    """Influence by units within every layer, and if it is exact of every layer on those above: the engine's own."""

    def __init__(self, parts: Sequence[OnlinePart], chain: Any) -> None:
        self._parts, self._chain = parts, chain
        self.flush, self.start = chain.flush, chain.start

    def after_step(self) -> None:
        """Nothing: the engine has done it."""

    def learn(self, dy: Array, flats: list[Array], grads: Array) -> None:
        """The gradients of all layers, one after the other, for the cotangent of the last output."""
        self._chain.learn(dy, flats, grads)

    def arrays(self) -> dict[str, Array]:
        """What it has learned of the past, besides the tapes: views."""
        named = ((f"{k}.", part.online) for k, part in enumerate(self._parts))
        own = {key + name: getattr(online, name) for key, online in named for name in ("influence", "factors")}
        return own | {f"{k}.influence of {j}": array for (k, j), array in self._chain.across.items()}

    @property
    def pending(self) -> bool:
        """Whether the influence has still to move."""
        found: bool = self._chain.pending
        return found

    @pending.setter
    def pending(self, value: bool) -> None:
        self._chain.pending = value


class FullRule:
    """Influence of every parameter on every state of all layers: exact for any net, N x P numbers for each row."""

    def __init__(self, parts: Sequence[OnlinePart], chain: Any, rows: int) -> None:
        self._parts, self._chain = parts, chain
        widths = [state.shape[1] for part in parts for state in part.states.values()]
        N, P = sum(widths), sum(part.size for part in parts)
        if rows * N * P > MOST:
            raise ValueError(
                f"rtrl keeps {N} x {P} numbers for each of {rows} rows of this net: pass online='snap1', choose a cell "
                "whose units see only themselves, such as 'mingru', or a smaller net"
            )
        dtype = parts[0].layer.dtype
        self.E, self.A, self.M = (np.zeros((rows, *shape), dtype) for shape in ((N, P), (N, N), (N, P)))
        self.pending = False

    def start(self, b: int) -> None:
        """Row `b` starts anew: only learned initial states have an influence."""
        self.flush()
        self.E[b] = 0
        n = first = 0
        for part in self._parts:
            at = first
            places = {}
            for name, shape in part.shapes.items():
                places[name], at = at, at + int(np.prod(shape))
            for name, state in part.states.items():
                width = state.shape[1]
                if name in part.layer.learn_initial:
                    units, start = np.arange(width), places[f"initial_{name}"]
                    self.E[b, n + units, start + units] = 1
                n += width
            first += part.size

    def after_step(self) -> None:
        """A and M of the step: back through it from every unit of every state."""
        flats = [part.layer.loop_weights() for part in self._parts]
        for b in range(len(self.E)):
            self._chain.take(b, flats, self.A[b], self.M[b])
        self.pending = True

    def flush(self) -> None:
        """E = A E + M."""
        if self.pending:
            self.pending = False
            for A, E, M in zip(self.A, self.E, self.M):
                engine.follow_step(A, E, M)
            self.E, self.M = self.M, self.E

    def learn(self, dy: Array, flats: list[Array], grads: Array) -> None:
        """The gradients of all layers, one after the other, for the cotangent of the last output."""
        grads[...] = 0
        for b in range(len(self.E)):
            self._chain.meet_whole(b, dy[b], flats, self.E[b], grads)

    def arrays(self) -> dict[str, Array]:
        """What it has learned of the past, besides the tapes: views."""
        return {"influence": self.E, "A": self.A, "M": self.M}
