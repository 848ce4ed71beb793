"""`LSTM`, `GRU`, `RNN`, with the arguments of ``torch.nn``, and `Recurrent` of any cell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

from pylstm.cells.cell import Cell
from pylstm.cells.contracts.options import split
from pylstm.hints import explained
from pylstm.layers.arguments import find_cell
from pylstm.torch.module import RecurrentModule, describe
from pylstm.torch.refusals import check_count


class _Torch(RecurrentModule):
    """A module with a counterpart in ``torch.nn``: the same names of parameters, and the same draw of their values."""

    def reset_parameters(self) -> None:
        bound = 1 / math.sqrt(self.hidden_size)  # (hidden_size**-0.5 may differ in the last bit)
        with torch.no_grad():
            for shapes in self._engine.shapes:
                for name in shapes:
                    weight = self._weight(name)
                    weight.zero_() if name.startswith("initial_") else weight.uniform_(-bound, bound)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("proj_size", dict(self._description.sizes).get("proj_size", 0))


class LSTM(_Torch):
    """The module for the place of ``torch.nn.LSTM``: its arguments, results, parameters and state dicts.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int
    bias : bool
    batch_first : bool
        Arrays are (B, T, ...) instead of (T, B, ...), but for the states.
    dropout : float
        Of the outputs of all layers but the last, in training mode.
    bidirectional : bool
    proj_size : int
        With more than 0, the width of a projection of the output.
    device, dtype
        The CPU; float32 or float64.
    learn_initial : bool, or iterable of "h" and "c"
        Whether the initial states, or those named, are parameters ``initial_<state>_l<k>``, at first 0.

    Examples
    --------
    >>> import pylstm.torch, torch
    >>> lstm = pylstm.torch.LSTM(3, 5, num_layers=2)
    >>> output, (h_n, c_n) = lstm(torch.ones(7, 4, 3))
    >>> output.shape, h_n.shape
    (torch.Size([7, 4, 5]), torch.Size([2, 4, 5]))
    >>> torch.nn.LSTM(3, 5, num_layers=2).load_state_dict(lstm.state_dict())
    <All keys matched successfully>
    """

    mode = "LSTM"

    @explained()
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        learn_initial: bool | Iterable[str] = False,
    ) -> None:
        check_count("hidden_size", hidden_size)
        if isinstance(proj_size, bool) or not isinstance(proj_size, int) or not 0 <= proj_size < hidden_size:
            raise ValueError(f"proj_size must be an integer of at least 0 and below hidden_size, got {proj_size!r}")
        sizes = {"proj_size": proj_size} if proj_size else {}
        description = describe(
            find_cell("lstmp" if proj_size else "lstm"),
            input_size,
            hidden_size,
            num_layers,
            bias,
            bidirectional,
            learn_initial,
            sizes,
            True,
        )
        super().__init__(description, batch_first, dropout, device, dtype)
        self.proj_size = proj_size


def _refuse_projection(proj_size: int) -> None:
    if proj_size:
        raise ValueError(
            f"proj_size argument is only supported for LSTM, not RNN or GRU, got {proj_size}: put a torch.nn.Linear "
            "after it"
        )


class GRU(_Torch):
    """The module for the place of ``torch.nn.GRU``: its arguments, results, parameters and state dicts.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype, learn_initial
        As of `LSTM`.
    proj_size : int
        0: with more, PyTorch's GRU and RNN refuse it, too.

    Examples
    --------
    >>> import pylstm.torch, torch
    >>> output, h_n = pylstm.torch.GRU(3, 5)(torch.ones(7, 4, 3), lengths=[7, 2, 0, 5])
    >>> bool((output[5:, 3] == 0).all())
    True
    """

    mode = "GRU"

    @explained()
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: int = 0,
        learn_initial: bool | Iterable[str] = False,
    ) -> None:
        _refuse_projection(proj_size)
        description = describe(
            find_cell("gru"),
            input_size,
            hidden_size,
            num_layers,
            bias,
            bidirectional,
            learn_initial,
            {},
            True,
        )
        super().__init__(description, batch_first, dropout, device, dtype)
        self.proj_size = 0


class RNN(_Torch):
    """The module for the place of ``torch.nn.RNN``: its arguments, results, parameters and state dicts.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype, learn_initial
        As of `LSTM`.
    nonlinearity : {"tanh", "relu"}
    proj_size : int
        0, as of `GRU`.

    Examples
    --------
    >>> import pylstm.torch, torch
    >>> pylstm.torch.RNN(3, 5, nonlinearity="relu")(torch.ones(7, 3))[1].shape
    torch.Size([1, 5])
    """

    @explained()
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: int = 0,
        learn_initial: bool | Iterable[str] = False,
    ) -> None:
        _refuse_projection(proj_size)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity {nonlinearity!r}: nonlinearity must be 'tanh' or 'relu'")
        description = describe(
            find_cell(f"rnn_{nonlinearity}"),
            input_size,
            hidden_size,
            num_layers,
            bias,
            bidirectional,
            learn_initial,
            {},
            True,
        )
        super().__init__(description, batch_first, dropout, device, dtype)
        self.nonlinearity, self.mode, self.proj_size = nonlinearity, f"RNN_{nonlinearity.upper()}", 0


class Recurrent(RecurrentModule):
    """Layers of any cell of pylstm, with the names of parameters there: ``weight_x_l0``, ``weight_h_l0``, ``bias_l0``.

    Parameters
    ----------
    cell : str or type
        Name of a registered cell (``pylstm cells`` lists them) or a `pylstm.Cell` subclass.
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype, learn_initial
        As of `LSTM`.
    **sizes : int, float or bool
        Extra sizes of the cell, and its options.

    Examples
    --------
    >>> import pylstm.torch, torch
    >>> module = pylstm.torch.Recurrent("peephole", 3, 5)
    >>> output, (h_n, c_n) = module(torch.ones(7, 4, 3))
    >>> list(module.state_dict())
    ['weight_x_l0', 'weight_h_l0', 'bias_l0', 'p_i_l0', 'p_f_l0', 'p_o_l0']
    """

    @explained()
    def __init__(
        self,
        cell: str | type[Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        learn_initial: bool | Iterable[str] = False,
        **sizes: Any,
    ) -> None:
        found, sizes = split(find_cell(cell), sizes)
        description = describe(
            found,
            input_size,
            hidden_size,
            num_layers,
            bias,
            bidirectional,
            learn_initial,
            sizes,
            False,
        )
        super().__init__(description, batch_first, dropout, device, dtype)

    def extra_repr(self) -> str:
        """Arguments that are not the default."""
        return f"{self.cell!r}, {super().extra_repr()}"
