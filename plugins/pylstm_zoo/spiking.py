"""Spiking cells: units that fire a 1 where a potential passes a threshold, trained by a declared derivative."""

from __future__ import annotations

from pylstm.cells import Cell, absolute, relu, surrogate, tanh, where

SHARE, STRENGTH = (0, 1), (0.001, 1000)


def fired(v):
    """1 where `v` is above 0, 0 where it is not; NaN stays NaN."""
    return where(v > 0, 1.0, where(v <= 0, 0.0, v))


def spikes(over, dampening):
    """1 where `over`, a potential relative to its threshold, is above 0; derivative dampening max(0, 1 - |over|)."""
    return surrogate(fired, lambda v: dampening * relu(1 - absolute(v)))(over)


class LIF(Cell):
    """Leaky integrate and fire: a spike takes the threshold off the potential.

    v = decay v- + W x + U s- - threshold s-, s = 1 where v > threshold. The declared derivative of s is dampening
    max(0, 1 - |v / threshold - 1|) / threshold. Options decay = 0.95, threshold = 1, dampening = 0.3.
    """

    name = "lif"
    states = ("s", "v")
    gates = {"i": "x+s"}
    biased = ()
    options = {"decay": 0.95, "threshold": 1.0, "dampening": 0.3}
    domain = {"decay": SHARE, "threshold": STRENGTH, "dampening": STRENGTH}
    reference = (
        "Bellec, Scherr, Subramoney, Hajek, Salaj, Legenstein & Maass (2020), A solution to the learning dilemma for "
        "recurrent networks of spiking neurons, doi:10.1038/s41467-020-17236-y"
    )

    def forward(z, prev, o):
        v = o.decay * prev.v + z.i - o.threshold * prev.s
        return dict(s=spikes((v - o.threshold) / o.threshold, o.dampening), v=v)


class ALIF(Cell):
    """Adaptive leaky integrate and fire: `lif` with a threshold that each spike lifts, and that falls back slowly.

    a = memory a- + s-, s = 1 where v > threshold + lift a. Options memory = 0.99, lift = 0.07, those of `lif`.
    """

    name = "alif"
    states = ("s", "v", "a")
    gates = {"i": "x+s"}
    biased = ()
    options = LIF.options | {"memory": 0.99, "lift": 0.07}
    domain = LIF.domain | {"memory": SHARE, "lift": (0, 1000)}
    reference = LIF.reference

    def forward(z, prev, o):
        v = o.decay * prev.v + z.i - o.threshold * prev.s
        a = o.memory * prev.a + prev.s
        return dict(s=spikes((v - o.threshold - o.lift * a) / o.threshold, o.dampening), v=v, a=a)


class SNU(Cell):
    """Spiking neural unit: a spike clears the memory of a rectified unit.

    m = relu(W x + U y- + decay m- (1 - y-)), y = 1 where m + b > 0. The declared derivative of y is 1 - tanh(m + b)^2.
    Option decay = 0.8.
    """

    name = "snu"
    states = ("y", "m")
    gates = {"i": "x+y"}
    biased = ()
    params = ("b",)
    options = {"decay": 0.8}
    domain = {"decay": SHARE}
    initial_values = {"b": -1.0}
    reference = (
        "Woźniak, Pantazi, Bohnstingl & Eleftheriou (2020), Deep learning incorporating biologically inspired neural "
        "dynamics and in-memory computing, doi:10.1038/s42256-020-0187-0"
    )

    def forward(z, prev, p, o):
        m = relu(z.i + o.decay * prev.m * (1 - prev.y))
        fire = surrogate(fired, lambda v: 1 - tanh(v) ** 2)
        return dict(y=fire(m + p.b), m=m)
