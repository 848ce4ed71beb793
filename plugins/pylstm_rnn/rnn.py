"""Elman networks (Elman 1990): one gate, which is the state; three choices of its activation."""

from __future__ import annotations

from pylstm.cells import Cell, drelu_from_y, dtanh_from_y, relu, tanh


class RNNTanh(Cell):
    r"""Elman network, ``torch.nn.RNN(nonlinearity="tanh")``.

    .. math::
        h_t = a_t = \tanh(z_a) \qquad z_a = W x_t + U h_{t-1} + b
    """

    name = "rnn_tanh"
    states = ("h",)
    gates = {"a": "x+h"}
    kernel = "pylstm_rnn._rnn:rnn_tanh"
    elementwise = True
    reference = "Elman (1990), Finding structure in time, Cognitive Science 14(2)"

    def forward(z):
        a = tanh(z.a)  # (1)
        return dict(a=a, h=a)

    def backward(d, y):
        return dict(a=d.h * dtanh_from_y(y.a))  # of (1)


class RNNReLU(Cell):
    r"""Elman network of rectifiers, ``torch.nn.RNN(nonlinearity="relu")``.

    .. math::
        h_t = a_t = \max(z_a, 0) \qquad z_a = W x_t + U h_{t-1} + b
    """

    name = "rnn_relu"
    states = ("h",)
    gates = {"a": "x+h"}
    kernel = "pylstm_rnn._rnn:rnn_relu"
    elementwise = True
    reference = "Le, Jaitly & Hinton (2015), A simple way to initialize recurrent networks of rectified linear units"

    def forward(z):
        a = relu(z.a)  # (1)
        return dict(a=a, h=a)

    def backward(d, y):
        return dict(a=d.h * drelu_from_y(y.a))  # of (1)


class RNNLinear(Cell):
    r"""Recurrent network without activation: the state is its pre-activation.

    .. math::
        h_t = z_a = W x_t + U h_{t-1} + b
    """

    name = "rnn_linear"
    states = ("h",)
    gates = {"a": "x+h"}
    kernel = "pylstm_rnn._rnn:rnn_linear"
    elementwise = True
    reference = (
        "Saxe, McClelland & Ganguli (2014), Exact solutions to the nonlinear dynamics of learning in deep linear "
        "neural networks"
    )

    def forward(z):
        return dict(h=z.a)  # (1)

    def backward(d):
        return dict(a=d.h)  # of (1)
