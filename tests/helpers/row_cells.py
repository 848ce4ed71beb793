"""Formulas in which units of a row meet: together they use every function of `pylstm.cells.row_functions`."""

from __future__ import annotations

from pylstm.cells import (
    Cell,
    Stage,
    absolute,
    contract,
    cumsum,
    exp,
    fold,
    logsumexp,
    maximum,
    outer,
    repeat,
    row_max,
    row_mean,
    row_norm,
    row_sum,
    sigmoid,
    softmax,
    sqrt,
    tanh,
    tile,
)


def normed(x):
    centred = x - row_mean(x)
    return centred / sqrt(row_mean(centred * centred) + 1e-5)


class LayerNorm(Cell):
    """Means over all units (Ba, Kiros & Hinton 2016)."""

    name = "layer_norm"
    states = ("h", "c")
    gates = dict(i="x+h", f="x+h", g="x+h", o="x+h")
    params = ("gain", "shift")
    initial_values = {"gain": 1.0, "shift": 0.0}

    def forward(z, prev, p):
        c = sigmoid(normed(z.f)) * prev.c + sigmoid(normed(z.i)) * tanh(normed(z.g))
        return dict(h=sigmoid(normed(z.o)) * tanh(p.gain * normed(c) + p.shift), c=c)


class Ordered(Cell):
    """Sums up to a unit and from it (ON-LSTM: Shen, Tan, Sordoni & Courville 2019)."""

    name = "ordered"
    states = ("h", "c")
    gates = dict(m="x+h", n="x+h", g="x+h", o="x+h")

    def forward(z, prev):
        m, n = cumsum(softmax(z.m)), cumsum(softmax(z.n), reverse=True)
        both = m * n
        c = (both * sigmoid(z.o) + m - both) * prev.c + (both + n - both) * tanh(z.g)
        return dict(h=tanh(c), c=c)


class Heads(Cell):
    """Functions of groups of units, with results for each group."""

    name = "heads"
    states = ("h", "n")
    sizes = dict(heads=2, key=3)
    widths = dict(a="heads * key", b="heads", h="key * heads", n="heads")
    gates = dict(a="x+h", b="x+n")

    def forward(z, prev, size):
        s = softmax(z.a, "heads")
        scale = repeat(row_max(z.a, size.heads) * row_norm(z.a, size.heads), size.heads * size.key)
        mean = repeat(row_mean(z.a * z.a, "heads"), "heads * key")
        h = tanh(scale * size.key**-0.5) * s + cumsum(tanh(z.a), "heads") / (1 + mean)
        return dict(h=h, n=tanh(logsumexp(z.a, "heads") + z.b) + 0.5 * prev.n)


class Memory(Cell):
    """A matrix for each head (mLSTM: Beck et al. 2024), in two stages."""

    name = "memory"
    states = ("h", "S", "n")
    sizes = dict(heads=2, key=3, value=4)
    widths = dict(
        q="heads * key", k="heads * key", v="heads * value", i="heads", f="heads", decay="heads", write="heads * key",
        o="heads * value", S="heads * key * value", n="heads * key", h="heads * value",
    )  # fmt: skip
    gates = dict(k="x", i="x+h", f="x+h", q="x", v="x", o="x+h")
    stages = (Stage("keys", gates=("k", "i", "f"), emits=("decay", "write")), Stage("cell", gates=("q", "v", "o")))

    def forward_keys(z, size):
        return dict(decay=sigmoid(z.f), write=z.k * size.key**-0.5 * repeat(exp(z.i), size.heads * size.key))

    def forward_cell(z, prev, e, size):
        S = repeat(e.decay, "heads * key * value") * prev.S + outer(e.write, z.v, "heads")
        n = repeat(e.decay, "heads * key") * prev.n + e.write
        size_of = maximum(absolute(row_sum(n * z.q, "heads")), 1)
        read = contract(z.q, S, "heads") / repeat(size_of, "heads * value")
        return dict(h=sigmoid(z.o) * read, S=S, n=n)


class Product(Cell):
    """A matrix times a vector, pieces of groups."""

    name = "product"
    states = ("h", "S")
    widths = dict(S=24, u=4, w=6, h=4, t=2)
    gates = dict(u="x+h", w="x+h", t="x")

    def forward(z, prev):
        S = 0.5 * prev.S + outer(tanh(z.u), tanh(z.w))
        folded = fold(tile(z.t, 12, 2) * tile(tanh(z.u), 12), 4, 2)
        return dict(h=tanh(contract(S, z.w)) + 0.3 * folded, S=S)


CELLS = [LayerNorm, Ordered, Heads, Memory, Product]
