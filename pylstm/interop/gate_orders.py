"""`gate_order`: the gate orders of other libraries, in one table."""

from __future__ import annotations

GATE_ORDERS: dict[str, dict[str, tuple[str, ...]]] = {
    # torch.nn.LSTM, GRU, RNN: weight_ih_l0, weight_hh_l0; LSTM with proj_size is "lstmp"
    "torch": {
        "lstm": ("i", "f", "g", "o"),
        "lstmp": ("i", "f", "g", "o"),
        "gru": ("r", "z", "n/m"),
        "rnn_tanh": ("a",),
        "rnn_relu": ("a",),
    },
    # keras.layers.LSTM, GRU (reset_after=True is "gru", False "gru_reset_before"), SimpleRNN: kernel, recurrent_kernel
    "keras": {
        "lstm": ("i", "f", "g", "o"),
        "gru": ("z", "r", "n/m"),
        "gru_reset_before": ("z", "r", "n"),
        "rnn_tanh": ("a",),
        "rnn_relu": ("a",),
        "lstm_hard_sigmoid": ("i", "f", "g", "o"),
        "gru_hard_sigmoid": ("z", "r", "n/m"),
        "gru_reset_before_hard_sigmoid": ("z", "r", "n"),
    },
    # flax.linen and flax.nnx: LSTMCell, OptimizedLSTMCell, GRUCell, SimpleCell, MGUCell (reset_gate=False is "ugrnn")
    "flax": {
        "lstm": ("i", "f", "g", "o"),
        "gru": ("r", "z", "n/m"),
        "rnn_tanh": ("a",),
        "rnn_relu": ("a",),
        "mgu_after": ("f", "n/m"),
        "ugrnn": ("u", "n"),
    },
    # haste_pytorch.LSTM, GRU: kernel, recurrent_kernel
    "haste": {
        "lstm": ("i", "g", "f", "o"),
        "gru": ("z", "r", "n/m"),
    },
    # operators LSTM, GRU, RNN: W, R; which attributes belong to which cell is said in `pylstm.interop.onnx`
    "onnx": {
        "lstm": ("i", "o", "f", "g"),
        "peephole": ("i", "o", "f", "g"),
        "lstm_linear_output": ("i", "o", "f", "g"),
        "lstm_noaf": ("i", "o", "f", "g"),
        "lstm_niaf": ("i", "o", "f", "g"),
        "cifg": ("-f", "o", "", "g"),
        "cifg_peephole": ("i", "o", "", "g"),
        "gru": ("z", "r", "n/m"),
        "gru_reset_before": ("z", "r", "n"),
        "rnn_tanh": ("a",),
        "rnn_relu": ("a",),
        "rnn_linear": ("a",),
        "lstm_hard_sigmoid": ("i", "o", "f", "g"),
        "gru_hard_sigmoid": ("z", "r", "n/m"),
        "gru_reset_before_hard_sigmoid": ("z", "r", "n"),
    },
}
"""Library -> cell -> the row blocks of its weights, in its order, by our gate names.

``n/m`` is one block there and two gates here: ``n`` is fed by x, ``m`` by h. ``-f`` is the negative of our ``f``: with
``input_forget`` ONNX has f = 1 - s(z_i), which is s(-z_i). An empty name is a block that is not used.
"""

PROJECTIONS = {"lstmp": "m"}
"""Cell -> the source of the matrix, without bias, that makes its output: torch's ``weight_hr_l0``."""


def gate_order(library: str, cell: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Our gates in the order of `library`: those fed by x, and those fed by h.

    Raises
    ------
    TypeError
        The library has no such cell.

    Examples
    --------
    >>> gate_order("torch", "gru")
    (('r', 'z', 'n'), ('r', 'z', 'm'))
    """
    orders = GATE_ORDERS[library]
    if cell not in orders:
        raise TypeError(f"{library} has no layer with the cell {cell!r}; those with a counterpart: {', '.join(orders)}")
    pairs = [block.split("/") for block in orders[cell]]
    return tuple(pair[0] for pair in pairs), tuple(pair[-1] for pair in pairs)
