"""`Bidirectional`: two directions of a layer, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Never

from pylstm.kinds import Plan, Wanted
from pylstm.layers.composite import Composite, named_part
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.layers.runs.bidirectional import BidirectionalRun
from pylstm.schema import Entries
from pylstm.summaries import Shape


class Bidirectional(Composite[BidirectionalRun], kind="bidirectional"):
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
    _run = BidirectionalRun
    _remade = ("forward", "reverse")

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

    def _outline(self, takes: Shape | None) -> Iterator[tuple[str, Any, Shape | None]]:
        yield from (("forward", self.forward, takes), ("reverse", self.reverse, takes))

    if not TYPE_CHECKING:  # a checker reports what uses it

        def stream(self, batch_size: int = 1, *, online: Any = None, saturation: Any = False) -> Never:
            """TypeError: the reverse direction begins at the end of the sequence."""
            raise TypeError(
                "a Bidirectional cannot be streamed: its reverse direction needs the whole sequence: call "
                "layer(x), or stream layer.forward alone"
            )

    def __repr__(self) -> str:
        return f"Bidirectional({self.forward!r}, {self.reverse!r})"
