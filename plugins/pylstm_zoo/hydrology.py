"""Cells of rainfall and runoff: static properties that open a gate, and a memory that conserves what flows through."""

from __future__ import annotations

from pylstm.cells import Cell, Stage, contract, row_sum, sigmoid, softmax, tanh


class EALSTM(Cell):
    """Entity-aware LSTM: properties of the entity (aux `static`), the same at every step, open the input gate.

    i = s(W_i static + b_i), c = f c- + i g, h = o tanh(c); f, g, o see x and h- as in the LSTM. Size `static_size`.
    """

    name = "ea_lstm"
    states = ("h", "c")
    gates = {"i": "given", "f": "x+h", "g": "x+h", "o": "x+h"}
    aux = ("static",)
    sizes = {"static_size": "input_size"}
    widths = {"static": "static_size", "given": "static_size"}
    stages = (Stage("entity", emits=("given",)), Stage("cell", gates=("i", "f", "g", "o")))
    reference = (
        "Kratzert, Klotz, Shalev, Klambauer, Hochreiter & Nearing (2019), Towards learning universal, regional, and "
        "local hydrological behaviors via machine learning applied to large-sample datasets, "
        "doi:10.5194/hess-23-5089-2019"
    )

    def forward_entity(u):
        return dict(given=u.static)

    def forward_cell(z, prev):
        c = sigmoid(z.f) * prev.c + sigmoid(z.i) * tanh(z.g)
        return dict(h=sigmoid(z.o) * tanh(c), c=c)


class MCLSTM(Cell):
    """Mass-conserving LSTM: c holds masses, R moves them between units, h is what leaves; `mass` (aux) comes in.

    m = R c- + i mass, c = (1 - o) m, h = o m, o = s(z_o), i = softmax(z_i); each column of R, where the mass of one
    unit goes, is a softmax. Gates see x and the shares c- / (sum c- + 1e-5). What came in is what left and what is
    held. Published codes normalise a sigmoid or a ReLU in place of the softmax, one divides by the norm of a batch.
    """

    name = "mc_lstm"
    states = ("h", "c")
    gates = {"i": "x+share", "o": "x+share", "r": "x+share"}
    aux = ("mass",)
    domain = {"mass": (0, None), "c": (0, None)}
    widths = {"r": "hidden_size * hidden_size"}
    stages = (Stage("shares", emits=("share",)), Stage("flow", gates=("i", "o", "r")))
    reference = (
        "Hoedt, Kratzert, Klotz, Halmich, Holzleitner, Nearing, Hochreiter & Klambauer (2021), MC-LSTM: "
        "mass-conserving LSTM, arXiv:2101.05186"
    )

    def forward_shares(prev):
        return dict(share=prev.c / (row_sum(prev.c) + 1e-5))

    def forward_flow(z, prev, u):
        o = sigmoid(z.o)
        m = contract(prev.c, softmax(z.r, "hidden_size")) + softmax(z.i) * u.mass
        return dict(h=o * m, c=(1 - o) * m)
