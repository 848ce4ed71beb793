"""Gated recurrent units (Cho et al. 2014), with the reset gate after or before the recurrent product."""

from __future__ import annotations

from pylstm.cells import Cell, Stage, dsigmoid_from_y, dtanh_from_y, sigmoid, tanh


class GRU(Cell):
    r"""Gated recurrent unit, reset after the product, as in PyTorch, cuDNN and Keras (``reset_after=True``).

    The candidate has two pre-activations: the recurrent part, which the reset gate scales, and the input part.

    .. math::
        r_t = \sigma(z_r) \quad z_t = \sigma(z_z) \quad m_t = U_m h_{t-1} + b_m \quad z_n = W_n x_t + b_n

        n_t = \tanh(z_n + r_t m_t) \qquad h_t = (1 - z_t) n_t + z_t h_{t-1}
    """

    name = "gru"
    states = ("h",)
    gates = {"r": "x+h", "z": "x+h", "m": "h", "n": "x"}
    kernel = "pylstm_gru._gru:gru"
    elementwise = True
    reference = "Cho et al. (2014), Learning phrase representations using RNN encoder-decoder, EMNLP; reset as in cuDNN"

    def forward(z, prev):
        r, update, m = sigmoid(z.r), sigmoid(z.z), z.m
        n = tanh(z.n + r * m)  # (1)
        h = (1 - update) * n + update * prev.h  # (2)
        return dict(r=r, z=update, n=n, h=h)

    def backward(d, y, prev):
        dz = d.h * (prev.h - y.n) * dsigmoid_from_y(y.z)  # of (2)
        dn = d.h * (1 - y.z) * dtanh_from_y(y.n)  # of (2), (1)
        dr = dn * y.m * dsigmoid_from_y(y.r)  # of (1)
        dm = dn * y.r
        return dict(r=dr, z=dz, m=dm, n=dn, h=d.h * y.z)


class GRUResetBefore(Cell):
    r"""Gated recurrent unit as published: the reset gate scales the state before the product.

    Stage ``reset`` emits the scaled state `rh`, which is a source of the candidate in stage ``update``.

    .. math::
        r_t = \sigma(z_r) \qquad (rh)_t = r_t h_{t-1}

        z_t = \sigma(z_z) \quad n_t = \tanh(W_n x_t + U_n (rh)_t + b_n) \quad h_t = (1 - z_t) n_t + z_t h_{t-1}
    """

    name = "gru_reset_before"
    states = ("h",)
    gates = {"r": "x+h", "z": "x+h", "n": "x+rh"}
    stages = (Stage("reset", gates=("r",), emits=("rh",)), Stage("update", gates=("z", "n")))
    kernel = "pylstm_gru._gru:gru_reset_before"
    elementwise = True
    reference = "Cho et al. (2014), Learning phrase representations using RNN encoder-decoder, EMNLP"

    def forward_reset(z, prev):
        r = sigmoid(z.r)
        rh = r * prev.h  # (1)
        return dict(r=r, rh=rh)

    def backward_reset(d, y, prev):
        dr = d.rh * prev.h * dsigmoid_from_y(y.r)  # of (1)
        return dict(r=dr, h=d.rh * y.r)

    def forward_update(z, prev):
        update, n = sigmoid(z.z), tanh(z.n)
        h = (1 - update) * n + update * prev.h  # (2)
        return dict(z=update, n=n, h=h)

    def backward_update(d, y, prev):
        dz = d.h * (prev.h - y.n) * dsigmoid_from_y(y.z)  # of (2)
        dn = d.h * (1 - y.z) * dtanh_from_y(y.n)
        return dict(z=dz, n=dn, h=d.h * y.z)
