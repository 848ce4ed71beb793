"""`Idle`: the pieces of parameters that a step changes, and the steps for which others were held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pylstm.optim.numbers import check_count
from pylstm.parameters import Parameters

IDLE = "idle"
"""Entry of the state of an optimiser: name -> steps for which it was frozen, of ``params[k]`` as ``k.name``."""


class Idle:
    """Steps for which parameters were frozen: their averages, and the count of their steps, stand still meanwhile.

    Examples
    --------
    >>> params = Parameters({"w": (2,), "b": (1,)})
    >>> params.freeze("b")
    >>> idle = Idle([params])
    >>> list(idle.pieces(0))
    [(slice(0, 2, None), 0)]
    >>> params.unfreeze()
    >>> list(idle.pieces(0))
    [(slice(0, 2, None), 0), (slice(2, 3, None), 1)]
    """

    def __init__(self, params: Sequence[Parameters]) -> None:
        self._params, self._steps = params, [dict[str, int]() for _ in params]

    def pieces(self, number: int) -> Iterator[tuple[slice, int]]:
        """Pieces of buffer `number` that the present step changes, and for how many steps before each was held."""
        params, steps = self._params[number], self._steps[number]
        if params.trained_whole and not steps:
            yield slice(None), 0
            return
        for name in params.frozen:
            steps[name] = steps.get(name, 0) + 1
        for name, piece in params.trained_pieces():
            yield piece, steps.get(name, 0)

    def state(self) -> dict[str, Any]:
        """Entry for the state of an optimiser; none if nothing was ever frozen."""
        found = {f"{k}.{name}": count for k, each in enumerate(self._steps) for name, count in each.items()}
        return {IDLE: found} if found else {}

    def load(self, state: Any, steps: int) -> None:
        """Go back to the entry of a `state`.

        Raises
        ------
        ValueError
            Not such an entry for these parameters, after `steps` steps.
        """
        known = {f"{k}.{name}" for k, each in enumerate(self._params) for name in each}
        if not isinstance(state, Mapping) or not state.keys() <= known:
            raise ValueError(f"optimiser state {IDLE!r} must be a dict by the names of parameters, got {state!r:.80}")
        counts = {name: check_count(f"optimiser state {IDLE}[{name!r}]", count) for name, count in state.items()}
        if any(count > steps for count in counts.values()):
            raise ValueError(
                f"optimiser state {IDLE!r} must be at most its {steps} steps, holds {max(counts.values())}"
            )
        self._steps = [
            {name: counts[f"{k}.{name}"] for name in each if f"{k}.{name}" in counts}
            for k, each in enumerate(self._params)
        ]
