"""`Bidirectional`: two directions of a layer, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Never

from pylstm.hints import refuse_call
from pylstm.kinds import Plan, Wanted
from pylstm.layers.bidirectional_run import BidirectionalRun
from pylstm.layers.composite import Composite, named_part
from pylstm.layers.composite_run import States, given_to, split
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.schema import Entries

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Bidirectional(Composite, kind="bidirectional"):
    """Two layers over the same input, one from the first step on and one from the last; outputs side by side.

    Parameters
    ----------
    forward, reverse : Recurrent
        Of any cells and hidden sizes, with the same input size, dtype and `batch_first`. Their parameters become
        pieces of one buffer.

    Attributes
    ----------
    params : Parameters
        Those of `forward` by their own names, those of `reverse` as ``reverse.<name>``.
    input_size, output_size : int
        `output_size` is the sum of both.

    Raises
    ------
    TypeError
        A direction that is not a `Recurrent`.
    ValueError
        Layers that do not fit each other, or belong to another stack.

    Notes
    -----
    Schuster and Paliwal (1997), Bidirectional recurrent neural networks.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> both = Bidirectional(pylstm.LSTM(3, 4, seed=0), pylstm.GRU(3, 5, seed=1))
    >>> run = both(np.ones((7, 2, 3), "float32"))
    >>> run.y.shape, run.reverse.final["h"].shape
    ((7, 2, 9), (2, 5))
    """

    arguments: dict[str, Any] = {}

    @classmethod
    def planned(cls, says: Entries, dtype: str, wanted: Wanted) -> Plan:
        """The layer that a file describes."""
        says.entries("arguments").only(())
        if len(says.list("layers", dict)) != 2:
            says.refuse("must hold 2 layers", len(says.list("layers")), "layers")
        plans = cls._planned_parts(says, ("recurrent",), wanted)
        return cls._together(plans, ("", "reverse."), dtype, lambda parts: cls(*parts))

    def __init__(self, forward: RecurrentLayer, reverse: RecurrentLayer) -> None:
        for layer in (forward, reverse):
            if not isinstance(layer, RecurrentLayer):
                raise TypeError(f"the layers of a Bidirectional must be two Recurrent layers, got {named_part(layer)}")
        self.forward, self.reverse = forward, reverse
        self.parts = {"": forward, "reverse.": reverse}
        self._check_alike()
        if forward.input_size != reverse.input_size:
            raise ValueError(
                f"the layers of a Bidirectional must have the same input_size, got {forward.input_size} and "
                f"{reverse.input_size}"
            )
        self.output_size = forward.output_size + reverse.output_size
        self._adopt()

    def __call__(
        self,
        x: ArrayLike,
        initial: States | None = None,
        *,
        aux: Sequence[Any] | None = None,
        pre: Sequence[Any] | None = None,
        blend: Sequence[Any] | None = None,
        reset: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        tape: bool = True,
        checkpoint: str | int | None = None,
        **other: Never,
    ) -> BidirectionalRun:
        """Run both directions.

        Parameters
        ----------
        x : array_like, shape (T, B, input_size), (B, T, input_size) with `batch_first`, or (T, input_size)
        initial : dict of str to array_like (2, B, width), or pair of dicts of str to array_like (B, width)
            Initial states, forward before reverse; the reverse direction starts at the last step.
        aux, pre, blend : pair of dicts, optional
            As for `Recurrent`, forward before reverse; both in the order of the steps of `x`.
        reset : array_like of bool, shape (T, B)
            Where True, a new sequence begins: in neither direction does anything pass from step t - 1 to t or back.
            Both start it as `Recurrent` does; `initial` is for step 0, and in the reverse direction for the last step.
        lengths : array_like of int, shape (B,)
            As for `Recurrent`; the reverse direction starts at the own end of each row.
        tape : bool
            Keep what `BidirectionalRun.backward` needs.
        checkpoint : "sqrt", int or str, optional
            As for `Recurrent`; of a budget of memory each direction has half.

        Raises
        ------
        TypeError, ValueError
            As `Recurrent` does.
        """
        if other:
            refuse_call(other)
        given = given_to(self, aux, pre, blend, checkpoint)
        return BidirectionalRun(self, x, split(self, "initial", initial, x), given, reset, lengths, tape)

    def __repr__(self) -> str:
        return f"Bidirectional({self.forward!r}, {self.reverse!r})"
