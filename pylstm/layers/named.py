"""`LSTM`, `GRU`, `RNN`: the layers by the names that users know."""

from __future__ import annotations

from typing import Any

from pylstm.layers.recurrent import Recurrent, several


class Named(Recurrent):
    """A `Recurrent` whose class says which cell."""

    def __new__(
        cls,
        input_size: Any = None,
        hidden_size: Any = None,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        **options: Any,
    ) -> Any:
        if several(num_layers, bidirectional, dropout):
            from pylstm.layers.stack import stack_of

            return stack_of(cls, input_size, hidden_size, num_layers, bidirectional, dropout, **options)
        return object.__new__(cls)

    def __repr__(self) -> str:
        return self._call(type(self).__name__, **self._own())

    def _own(self) -> dict[str, Any]:
        """Options of the class that are not the default."""
        return {}


class LSTM(Named):
    """Long short-term memory layer: `Recurrent` with the cell ``lstm`` (gates in the order i, f, g, o).

    Parameters
    ----------
    proj_size : int
        With more than 0, as in PyTorch: the cell ``lstmp``, of which the output h is a projection to this width. It has
        the cell state c in `hidden_size`, and the further matrix ``weight_m`` (proj_size, hidden_size).

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer = pylstm.LSTM(3, 5, dtype="float64", seed=0)
    >>> layer(np.ones((4, 3))).final["h"].shape
    (5,)
    >>> stack = pylstm.LSTM(3, 5, num_layers=2, bidirectional=True)
    >>> stack(np.ones((4, 7, 3), "float32")).final["h"].shape
    (4, 7, 5)
    >>> pylstm.LSTM(3, 5, proj_size=2, seed=0)(np.ones((4, 3), "float32")).y.shape
    (4, 2)
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, proj_size: int = 0, **options: Any
    ) -> None:
        if isinstance(proj_size, bool) or not hasattr(proj_size, "__index__") or proj_size < 0:
            raise ValueError(f"proj_size must be an integer of at least 0, got {proj_size!r}")
        if proj_size:
            options["proj_size"] = proj_size
        super().__init__("lstmp" if proj_size else "lstm", input_size, hidden_size, **options)


class GRU(Named):
    """Gated recurrent unit layer as in PyTorch: `Recurrent` with the cell ``gru``.

    Parameters
    ----------
    reset_after : bool
        Whether the reset gate scales the recurrent product, as in PyTorch, or, as in the paper and with Keras'
        ``reset_after=False``, the state before it: the cell ``gru_reset_before``.

    Examples
    --------
    >>> import pylstm
    >>> pylstm.GRU(3, 5, reset_after=False).cell.name
    'gru_reset_before'
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, reset_after: bool = True, **options: Any
    ) -> None:
        super().__init__("gru" if reset_after else "gru_reset_before", input_size, hidden_size, **options)

    def _own(self) -> dict[str, Any]:
        return {} if self.cell.name == "gru" else {"reset_after": False}


class RNN(Named):
    """Plain recurrent layer h_t = f(W x_t + U h_{t-1} + b): the cells ``rnn_tanh``, ``rnn_relu``, ``rnn_linear``.

    Parameters
    ----------
    nonlinearity : {"tanh", "relu", "linear"}
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, nonlinearity: str = "tanh", **options: Any
    ) -> None:
        if nonlinearity not in ("tanh", "relu", "linear"):
            raise ValueError(f"nonlinearity must be 'tanh', 'relu' or 'linear', got {nonlinearity!r}")
        super().__init__(f"rnn_{nonlinearity}", input_size, hidden_size, **options)

    def _own(self) -> dict[str, Any]:
        nonlinearity = self.cell.name.removeprefix("rnn_")
        return {} if nonlinearity == "tanh" else {"nonlinearity": nonlinearity}
