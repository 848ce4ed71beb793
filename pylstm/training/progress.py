"""`Progress`: progress of training, as a bar on a terminal or as a few lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from pylstm.checks import check_flag

LINES = 10
"""Lines of plain progress over a whole budget."""


class Progress:
    """Shows which share of a budget is used, and a text beside it.

    Parameters
    ----------
    bar : bool, optional
        A bar on standard error; default: if that is a terminal.
    lines : bool
        Without a bar, a line at every tenth of the budget.
    file : text file, optional
        For the lines; default: standard output.
    leave : bool
        Whether the bar stays when the training has ended.

    Examples
    --------
    >>> progress = Progress(bar=False)
    >>> with progress.begun(0.0):
    ...     for step in range(1, 6):
    ...         progress.show(step / 20, lambda: f"step {step}")
      10%  step 2, 0 s
      20%  step 4, 0 s
    """

    def __init__(
        self, bar: bool | None = None, *, lines: bool = True, file: TextIO | None = None, leave: bool = True
    ) -> None:
        self._with_bar, self._with_lines, self._file, self._leave = bar, lines, file, leave
        self._bar: Any = None
        self._lines, self._start = 0, 0.0

    @classmethod
    def of(cls, progress: Progress | bool | None) -> Progress:
        """What `pylstm.fit` is given as `progress`: a bar, no bar, or one where standard error is a terminal."""
        if isinstance(progress, Progress):
            return progress
        return cls(None if progress is None else check_flag("progress", progress), lines=False)

    @contextmanager
    def begun(self, share: float) -> Iterator[None]:
        """Block around a training that begins, or resumes, where `share` of its budget is used."""
        self._lines, self._start = int(share * LINES), time.perf_counter()
        if sys.stderr.isatty() if self._with_bar is None else self._with_bar:
            from tqdm import tqdm  # slow to import, and `import pylstm` imports this module

            form = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
            self._bar = tqdm(total=1.0, initial=share, bar_format=form, file=sys.stderr, leave=self._leave)
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.close()
            self._bar = None

    def show(self, share: float, text: Callable[[], str]) -> None:
        """Show that `share` is used; `text` is asked for only where it is shown."""
        share = min(1.0, share)
        if self._bar is not None:
            self._bar.set_postfix_str(text(), refresh=False)
            self._bar.update(share - self._bar.n)
        elif self._with_lines and share * LINES >= self._lines + 1:
            self._lines = int(share * LINES)
            seconds = time.perf_counter() - self._start
            print(f"{share:5.0%}  {text()}, {seconds:.0f} s", file=self._file, flush=True)
