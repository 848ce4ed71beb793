"""Ctrl-C as a request to stop between two steps, so that what was trained can be saved whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Within the block, the first Ctrl-C only makes the given function answer True; the second interrupts at once.

    Outside of the main thread, where Python does not deliver signals, it always answers False.

    Examples
    --------
    >>> with stop_on_interrupt() as stopped:
    ...     stopped()
    False
    """
    asked = False

    def handle(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
