"""`check_unchanged`: what reads the weights of a layer after a run reads those of the run, or refuses."""

from __future__ import annotations

from typing import Any

from pylstm import _core
from pylstm.layers.inputs.learned import origin_of


def check_unchanged(run: Any) -> None:
    """`RuntimeError` where a parameter of the layer that a run of one layer with a tape read has other bits than then.

    Parameters that have been moved and set back to the same values pass. A run without steps or rows has read none.
    """
    if run._T and run._B and not _same(run):
        raise RuntimeError(
            "the parameters have changed since this run, and this reads those of the layer: set them back to the same "
            "values, or run the layer again, run = layer(x)"
        )


def _same(run: Any) -> bool:
    layer, given = run.layer, run._given
    contract, params = layer.cell.contract, layer.params
    if given.made is not None and any(params[name].tobytes() != kept.tobytes() for name, kept in given.made.of.items()):
        return False
    for k, name in enumerate(contract.states):
        learned = origin_of(layer, name).tobytes()
        if given.origin is not None and given.origin[k].tobytes() != learned:
            return False
        if name in given.learned:
            start = run._view(run._plan.offset("states", k), (run._B, layer.widths[name]))
            if start[0].tobytes() != learned:
                return False
    return _core.holds(run._plan, run._buffer, layer.loop_weights())
