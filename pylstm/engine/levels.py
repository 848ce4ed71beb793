"""The instruction-set level in use: chosen once at import, ``PYLSTM_CPU=v1|v3|v4`` overrides."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from pylstm.engine.cpu import machine_level

LEVELS = ("v1", "v3", "v4")


def _choose() -> str:
    machine = machine_level()
    asked = os.environ.get("PYLSTM_CPU", machine)
    if asked not in LEVELS:
        raise ImportError(f"PYLSTM_CPU={asked!r}: expected one of {', '.join(LEVELS)}")
    if LEVELS.index(asked) > LEVELS.index(machine):
        raise ImportError(f"PYLSTM_CPU={asked!r}: this machine only has level {machine}")
    return asked


level = _choose()
"""The level in use, ``"v1"``, ``"v3"`` or ``"v4"``."""


_loaded: dict[str, ModuleType] = {}


def load(name: str) -> ModuleType:
    """Import the best build of module `name` that is not above the level in use.

    Parameters
    ----------
    name : str
        Full name without the level, ``"pylstm_gru._gru"``. A third party that builds one module only
        installs it under the plain name.

    Raises
    ------
    ImportError
        No build of the module is installed.

    Examples
    --------
    >>> load("pylstm.engine.tiles").__name__.startswith("pylstm.engine.tiles_v")
    True
    """
    if name in _loaded:
        return _loaded[name]
    tried = [f"{name}_{each}" for each in reversed(LEVELS[: LEVELS.index(level) + 1])] + [name]
    for full in tried:
        try:
            return _loaded.setdefault(name, importlib.import_module(full))
        except ModuleNotFoundError as error:
            if error.name != full:
                raise
    raise ImportError(f"no compiled module for {name!r}: tried {', '.join(tried)}")
