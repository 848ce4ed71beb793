"""The LSTM with one part taken away or added (Greff et al. 2015).

The reference point of the study is the LSTM with peepholes, and so is every variant here. Two more of its variants are
bundled: NP (no peepholes) is the cell `lstm`, the reference itself is `peephole`; `cifg` is CIFG without peepholes.
"""

from __future__ import annotations

from pylstm.cells import Cell, sigmoid, tanh

GREFF = "Greff, Srivastava, Koutník, Steunebrink & Schmidhuber (2015), LSTM: a search space odyssey"


class NIG(Cell):
    """No input gate: i = 1.

    f = s(z_f + p_f c-), c = f c- + tanh(z_g), o = s(z_o + p_o c), h = o tanh(c); c- is the previous c.
    """

    name = "lstm_nig"
    states = ("h", "c")
    gates = {"f": "x+h", "g": "x+h", "o": "x+h"}
    params = ("p_f", "p_o")
    reference = GREFF

    def forward(z, prev, p):
        f = sigmoid(z.f + p.p_f * prev.c)
        c = f * prev.c + tanh(z.g)
        o = sigmoid(z.o + p.p_o * c)
        return dict(h=o * tanh(c), c=c)


class NFG(Cell):
    """No forget gate: f = 1.

    i = s(z_i + p_i c-), c = c- + i tanh(z_g), o = s(z_o + p_o c), h = o tanh(c); c- is the previous c.
    """

    name = "lstm_nfg"
    states = ("h", "c")
    gates = {"i": "x+h", "g": "x+h", "o": "x+h"}
    params = ("p_i", "p_o")
    reference = GREFF

    def forward(z, prev, p):
        i = sigmoid(z.i + p.p_i * prev.c)
        c = prev.c + i * tanh(z.g)
        o = sigmoid(z.o + p.p_o * c)
        return dict(h=o * tanh(c), c=c)


class NOG(Cell):
    """No output gate: o = 1.

    i = s(z_i + p_i c-), f = s(z_f + p_f c-), c = f c- + i tanh(z_g), h = tanh(c); c- is the previous c.
    """

    name = "lstm_nog"
    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h"}
    params = ("p_i", "p_f")
    reference = GREFF

    def forward(z, prev, p):
        i = sigmoid(z.i + p.p_i * prev.c)
        f = sigmoid(z.f + p.p_f * prev.c)
        c = f * prev.c + i * tanh(z.g)
        return dict(h=tanh(c), c=c)


class NIAF(Cell):
    """No input activation function: the block input is linear.

    i = s(z_i + p_i c-), f = s(z_f + p_f c-), c = f c- + i z_g, o = s(z_o + p_o c), h = o tanh(c).
    """

    name = "lstm_niaf"
    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h"}
    params = ("p_i", "p_f", "p_o")
    reference = GREFF

    def forward(z, prev, p):
        i = sigmoid(z.i + p.p_i * prev.c)
        f = sigmoid(z.f + p.p_f * prev.c)
        c = f * prev.c + i * z.g
        o = sigmoid(z.o + p.p_o * c)
        return dict(h=o * tanh(c), c=c)


class NOAF(Cell):
    """No output activation function: h = o c.

    i = s(z_i + p_i c-), f = s(z_f + p_f c-), c = f c- + i tanh(z_g), o = s(z_o + p_o c). Without peepholes it is the
    bundled cell `lstm_linear_output`.
    """

    name = "lstm_noaf"
    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h"}
    params = ("p_i", "p_f", "p_o")
    reference = GREFF

    def forward(z, prev, p):
        i = sigmoid(z.i + p.p_i * prev.c)
        f = sigmoid(z.f + p.p_f * prev.c)
        c = f * prev.c + i * tanh(z.g)
        o = sigmoid(z.o + p.p_o * c)
        return dict(h=o * c, c=c)


class CIFGPeephole(Cell):
    """Coupled input and forget gate, f = 1 - i, with peepholes as in the study.

    i = s(z_i + p_i c-), c = (1 - i) c- + i tanh(z_g), o = s(z_o + p_o c), h = o tanh(c).
    """

    name = "cifg_peephole"
    states = ("h", "c")
    gates = {"i": "x+h", "g": "x+h", "o": "x+h"}
    params = ("p_i", "p_o")
    reference = GREFF

    def forward(z, prev, p):
        i = sigmoid(z.i + p.p_i * prev.c)
        c = (1 - i) * prev.c + i * tanh(z.g)
        o = sigmoid(z.o + p.p_o * c)
        return dict(h=o * tanh(c), c=c)


class FGR(Cell):
    """Full gate recurrence: every gate also sees all gates of the previous step (nine more matrices).

    i = s(z_i + p_i c-), f = s(z_f + p_f c-), o = s(z_o + p_o c), where z_i, z_f, z_o also contain R_i i-, R_f f-,
    R_o o-; the block input does not. The gates are carried as the states s_i, s_f, s_o.
    """

    name = "lstm_fgr"
    states = ("h", "c", "s_i", "s_f", "s_o")
    gates = {"i": "x+h+s_i+s_f+s_o", "f": "x+h+s_i+s_f+s_o", "g": "x+h", "o": "x+h+s_i+s_f+s_o"}
    params = ("p_i", "p_f", "p_o")
    reference = GREFF + "; Hochreiter & Schmidhuber (1997)"

    def forward(z, prev, p):
        i = sigmoid(z.i + p.p_i * prev.c)
        f = sigmoid(z.f + p.p_f * prev.c)
        c = f * prev.c + i * tanh(z.g)
        o = sigmoid(z.o + p.p_o * c)
        return dict(h=o * tanh(c), c=c, s_i=i, s_f=f, s_o=o)
