"""What every contestant of one size is given: the same input, cotangent and weights; and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

HAVE_TORCH_LAYOUT = ("lstm", "gru", "rnn_tanh")
"""Cells whose weights can be written as a torch state dict; the others run against themselves only."""


class Size(NamedTuple):
    """Rows, steps and units."""

    B: int
    T: int
    H: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """From ``32x100x64``."""
        return cls(*map(int, text.split("x")))


@dataclass(frozen=True)
class Problem:
    """One layer with its input: drawn from fixed seeds in float64 and rounded, so that dtypes can be compared, too."""

    cell: str
    size: Size
    dtype: str = "float32"
    input_size: int | None = None
    """None: as many inputs as units."""

    @property
    def I(self) -> int:  # noqa: E743
        return self.input_size or self.size.H

    @property
    def B(self) -> int:
        return self.size.B

    @property
    def T(self) -> int:
        return self.size.T

    @property
    def H(self) -> int:
        return self.size.H

    @cached_property
    def layer(self) -> Any:
        """The pylstm layer that computes it."""
        import pylstm

        return pylstm.Recurrent(self.cell, self.I, self.H, dtype=self.dtype, seed=1)

    @cached_property
    def x(self) -> np.ndarray:
        """(T, B, I)."""
        return np.random.default_rng(2).uniform(-1, 1, (self.T, self.B, self.I)).astype(self.dtype)

    @cached_property
    def steps(self) -> np.ndarray:
        """(8, B, I), for the check of what does one step at a time."""
        return np.random.default_rng(4).uniform(-1, 1, (8, self.B, self.I)).astype(self.dtype)

    @cached_property
    def dy(self) -> np.ndarray:
        """(T, B, H), cotangent of the outputs."""
        return np.random.default_rng(3).uniform(-1, 1, (self.T, self.B, self.H)).astype(self.dtype)

    @cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """The layer's parameters as ``weight_ih_l0``, ``weight_hh_l0``, ``bias_ih_l0``, ``bias_hh_l0`` of torch."""
        return in_torch_layout(self.cell, self.I, self.H, self.layer.params)


@dataclass(frozen=True)
class Contestant:
    """A piece of work that can be timed.

    Attributes
    ----------
    call : callable
        Does the work once; nothing is prepared in it that a user would prepare once.
    results : callable, optional
        Takes what `call` gave, gives arrays by name for the check of agreement.
    scale : float
        What a measured time is multiplied by.
    note : str
        Said of it, with the size, below the table.
    """

    call: Callable[[], Any]
    results: Callable[[Any], dict[str, np.ndarray]] | None = None
    scale: float = 1.0
    note: str = ""


def in_torch_layout(cell: str, inputs: int, units: int, params: Any) -> dict[str, np.ndarray]:
    """Parameters of pylstm, or their gradients, as a torch state dict."""
    import pylstm
    from pylstm.interop.torch import state_dict

    layer = pylstm.Recurrent(cell, inputs, units, dtype=params.dtype)
    layer.params.update({name: params[name] for name in params})
    return state_dict(layer)


def gradients(cell: str, units: int, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Gradients in the layout of a torch state dict, by our names, each of them once.

    Where torch adds two biases both have the same gradient; only that of the GRU's U_m h + b_m stands alone.
    """
    found = {"dW": state["weight_ih_l0"], "dU": state["weight_hh_l0"], "db": state["bias_ih_l0"]}
    if cell == "gru":
        found["db_m"] = state["bias_hh_l0"][-units:]
    return found
