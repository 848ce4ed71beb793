"""The bar of a fit."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class StepBar:
    """Steps done of all steps, with the losses of the last epoch, on standard error; or nothing.

    Parameters
    ----------
    trainer : Trainer
        Whose `epochs`, `steps_per_epoch`, `epoch`, `step` and `history` are shown.
    show : bool, optional
        Default: whether standard error is a terminal.
    """

    def __init__(self, trainer: Any, show: bool | None) -> None:
        self._trainer, self._bar = trainer, None
        if sys.stderr.isatty() if show is None else show:
            from tqdm import tqdm  # slow to import, and `import pylstm` imports this module

            total = trainer.epochs * trainer.steps_per_epoch
            self._bar = tqdm(total=total, initial=trainer.step, unit="step", file=sys.stderr)

    def update(self) -> None:
        """Show the present state of the trainer."""
        if self._bar is None:
            return
        history = self._trainer.history
        shown = f"epoch {self._trainer.epoch}, loss {(history.loss or history.steps)[-1]:.4g}"
        if history.validation_loss:
            shown += f", validation {history.validation_loss[-1]:.4g}"
        self._bar.set_postfix_str(shown, refresh=False)
        self._bar.update(self._trainer.step - self._bar.n)

    def __enter__(self) -> StepBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
