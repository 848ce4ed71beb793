"""How far a training run is: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from tqdm import tqdm

from pylstm.text.settings import Budget
from pylstm.text.trainer import TextTrainer

LINES = 10
"""Lines of plain progress over a whole run."""


class Progress:
    """Shows the share of `budget` that is used and the loss; the `report` of `TextTrainer.run`.

    Parameters
    ----------
    budget : Budget
    per_epoch : int
        Steps of an epoch.
    bar : bool, optional
        A bar rather than lines; default: whether standard error is a terminal.
    file : text file, optional
        For the lines; default: standard output.
    """

    def __init__(self, budget: Budget, per_epoch: int, *, bar: bool | None = None, file: Any = None) -> None:
        self._file = file
        self._seconds = None if budget.minutes is None else 60 * budget.minutes
        self._steps = budget.total_steps(per_epoch)
        self._lines = 0
        self._bar = None
        if sys.stderr.isatty() if bar is None else bar:
            form = "{percentage:3.0f}%|{bar}| {elapsed}{postfix}"
            self._bar = tqdm(total=1.0, bar_format=form, file=sys.stderr, leave=True)

    def __call__(self, trainer: TextTrainer) -> None:
        """Show the state of `trainer` after a step."""
        done = self.share(trainer)
        loss = float(np.mean(trainer.trace[-20:]))
        if self._bar is not None:
            self._bar.set_postfix_str(f"step {len(trainer.trace)}, {loss:.3f} bits per character", refresh=False)
            self._bar.update(done - self._bar.n)
        elif done * LINES >= self._lines + 1:
            self._lines = int(done * LINES)
            print(
                f"{done:5.0%}  step {len(trainer.trace)}  {trainer.seconds:.0f} s  {loss:.3f} bits per character",
                file=self._file,
            )

    def share(self, trainer: TextTrainer) -> float:
        """Used part of the budget, in 0..1."""
        used = [0.0]
        if self._seconds is not None:
            used.append(trainer.seconds / self._seconds)
        if self._steps is not None:
            used.append(len(trainer.trace) / self._steps)
        return min(1.0, max(used))

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
