"""`unmoved`: a random generator that a failed call leaves where it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def unmoved(rng: Any) -> Iterator[None]:
    """Put `rng` back where it was if the block raises, so that what is done again draws the same numbers.

    Parameters
    ----------
    rng : Generator
        Whatever else it is, None too, is left alone.

    Examples
    --------
    >>> import numpy as np
    >>> rng, same = np.random.default_rng(0), np.random.default_rng(0)
    >>> try:
    ...     with unmoved(rng):
    ...         rates = {"h": 0.5}
    ...         rng.random() >= rates["c"]
    ... except KeyError:
    ...     rng.random() == same.random()
    True
    """
    state = rng.bit_generator.state if isinstance(rng, np.random.Generator) else None
    try:
        yield
    except BaseException:
        if state is not None:
            rng.bit_generator.state = state
        raise
