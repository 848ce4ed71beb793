"""LSTM and GRU with Keras' ``hard_sigmoid``, a line cut off at 0 and 1, in place of the sigmoid of the gates.

Its slope is 0.2 in Keras 2, the default of the option `slope`, and 1/6 in Keras 3.
"""

from __future__ import annotations

from typing import Any

from pylstm.cells.cell import Cell
from pylstm.cells.contracts.stages import Stage
from pylstm.cells.functions import maximum, minimum, tanh

SLOPE = (1e-3, 10)
"""Legal slopes."""
REFERENCE = "Keras: recurrent_activation='hard_sigmoid', the default of Keras before 2.3"


def hard_sigmoid(z: Any, slope: float) -> Any:
    """min(max(slope z + 1/2, 0), 1)."""
    return minimum(maximum(slope * z + 0.5, 0.0), 1.0)


class LSTMHardSigmoid(Cell):
    """The LSTM of Keras with ``recurrent_activation="hard_sigmoid"``.

    s(z) = min(max(slope z + 1/2, 0), 1), option slope = 0.2; i, f, o = s(z_i), s(z_f), s(z_o), g = tanh(z_g),
    c = f c- + i g, h = o tanh(c).

    Examples
    --------
    >>> import pylstm
    >>> layer = pylstm.Recurrent(pylstm.interop.keras.LSTMHardSigmoid, 3, 5, slope=1 / 6)  # that of Keras 3
    >>> layer.cell.name
    'lstm_hard_sigmoid'
    """

    name = "lstm_hard_sigmoid"
    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h"}
    options = {"slope": 0.2}
    domain = {"slope": SLOPE}
    reference = REFERENCE

    def forward(z, prev, o):  # type: ignore[no-untyped-def]  # noqa: D102
        c = hard_sigmoid(z.f, o.slope) * prev.c + hard_sigmoid(z.i, o.slope) * tanh(z.g)
        return dict(h=hard_sigmoid(z.o, o.slope) * tanh(c), c=c)


class GRUHardSigmoid(Cell):
    """The GRU of Keras with ``recurrent_activation="hard_sigmoid", reset_after=True``.

    s(z) = min(max(slope z + 1/2, 0), 1), option slope = 0.2; r, z = s(z_r), s(z_z), n = tanh(z_n + r m),
    h = (1 - z) n + z h-.

    Examples
    --------
    >>> import pylstm
    >>> pylstm.Recurrent(pylstm.interop.keras.GRUHardSigmoid, 3, 5, slope=1 / 6).cell.name
    'gru_hard_sigmoid'
    """

    name = "gru_hard_sigmoid"
    states = ("h",)
    gates = {"r": "x+h", "z": "x+h", "m": "h", "n": "x"}
    options = {"slope": 0.2}
    domain = {"slope": SLOPE}
    reference = REFERENCE

    def forward(z, prev, o):  # type: ignore[no-untyped-def]  # noqa: D102
        r, update = hard_sigmoid(z.r, o.slope), hard_sigmoid(z.z, o.slope)
        return dict(h=(1 - update) * tanh(z.n + r * z.m) + update * prev.h)


class GRUResetBeforeHardSigmoid(Cell):
    """The GRU of Keras with ``recurrent_activation="hard_sigmoid", reset_after=False``, the defaults before 2.3.

    s(z) = min(max(slope z + 1/2, 0), 1), option slope = 0.2; r, z = s(z_r), s(z_z), n = tanh(W x + U (r h-) + b),
    h = (1 - z) n + z h-.

    Examples
    --------
    >>> import pylstm
    >>> pylstm.Recurrent(pylstm.interop.keras.GRUResetBeforeHardSigmoid, 3, 5, slope=1 / 6).cell.name
    'gru_reset_before_hard_sigmoid'
    """

    name = "gru_reset_before_hard_sigmoid"
    states = ("h",)
    gates = {"r": "x+h", "z": "x+h", "n": "x+rh"}
    stages = (Stage("reset", gates=("r",), emits=("rh",)), Stage("update", gates=("z", "n")))
    options = {"slope": 0.2}
    domain = {"slope": SLOPE}
    reference = REFERENCE

    def forward_reset(z, prev, o):  # type: ignore[no-untyped-def]  # noqa: D102
        return dict(rh=hard_sigmoid(z.r, o.slope) * prev.h)

    def forward_update(z, prev, o):  # type: ignore[no-untyped-def]  # noqa: D102
        update = hard_sigmoid(z.z, o.slope)
        return dict(h=(1 - update) * tanh(z.n) + update * prev.h)


CELLS: dict[str, type[Cell]] = {
    cell.name: cell for cell in (LSTMHardSigmoid, GRUHardSigmoid, GRUResetBeforeHardSigmoid)
}
