"""Ctrl-C and SIGTERM as requests to stop between two steps, so that what was trained can be saved whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], int]]:
    """Block in which the first Ctrl-C or SIGTERM raises nothing: the given function returns its number, 0 before.

    The second raises `KeyboardInterrupt` at once. A block that raises after a SIGTERM has it sent again at its end: the
    process was told to go. A signal that the process ignores, as Ctrl-C under ``nohup``, stays ignored. Outside of the
    main thread, where Python does not deliver signals, the function always answers 0.

    Examples
    --------
    >>> with stop_on_interrupt() as stopped:
    ...     stopped()
    0
    """
    asked = late = 0
    leaving = failed = False

    def handle(number: int, frame: Any) -> None:
        nonlocal asked, late
        if leaving:
            late = number
            return
        if asked:
            raise KeyboardInterrupt
        asked = number

    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    before: dict[int, Any] = {}
    try:
        for each in SIGNALS:
            if signal.getsignal(each) is not signal.SIG_IGN:
                before[each] = signal.signal(each, handle)
        yield lambda: asked
    except BaseException:
        failed = True
        raise
    finally:
        leaving = True
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if failed and asked == signal.SIGTERM:  # the block raised before its caller could send it again
            late = asked
        if late:
            signal.raise_signal(late)
