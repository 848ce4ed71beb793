"""`Stage`: a stage of a step, as a cell declares it, and the names of its methods."""

from __future__ import annotations

from dataclasses import dataclass

from pylstm.hints import explained_constructor


@explained_constructor
@dataclass(frozen=True)
class Stage:
    """One stage of a step: the gates that it owns and the values that it emits.

    The methods of the cell that belong to it are ``forward_<name>`` and ``backward_<name>`` (``forward`` and
    ``backward`` where the cell has a single stage and declares none).

    Examples
    --------
    >>> import pylstm
    >>> class Gated(pylstm.Cell):
    ...     states, gates = ("h",), {"r": "x+h", "a": "x+s"}
    ...     stages = (pylstm.Stage("reset", gates=("r",), emits=("s",)), pylstm.Stage("output", gates=("a",)))
    ...     def forward_reset(z, prev):
    ...         return {"s": pylstm.sigmoid(z.r) * prev.h}
    ...     def forward_output(z):
    ...         return {"h": pylstm.tanh(z.a)}
    >>> [stage.name for stage in Gated.contract.stages], pylstm.certify(Gated).ok
    (['reset', 'output'], True)
    """

    name: str
    gates: tuple[str, ...] = ()
    emits: tuple[str, ...] = ()


def hook_name(direction: str, stage: str) -> str:
    """Name of the method of a stage: ``forward`` of the unnamed stage, ``forward_reset`` of stage ``reset``."""
    return f"{direction}_{stage}" if stage else direction
