"""The whole plugin API on one page: the hooks that a plugin may implement.

A plugin is a module (or an object) named by an entry point of group ``pylstm``. It implements a hook by a function
of the hook's name, marked with `hookimpl`, with any subset of the hook's arguments, by name, none with a default
value (pluggy never fills those, so they are refused). Hooks are called at set-up time, never inside a time loop.
How plugins are found, and what happens to a broken one: ``docs/plugins.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from pylstm.cells.registry import Registry

hookspec = pluggy.HookspecMarker("pylstm")
"""Marks the specifications on this page."""

hookimpl = pluggy.HookimplMarker("pylstm")
"""Marks a plugin's implementation of a hook; public as ``pylstm.hookimpl``."""


@hookspec
def pylstm_register_cells(registry: Registry) -> None:
    """Add cells to the registry, so that users can name them: ``pylstm.Recurrent("name", ...)``.

    Called once per process, when the registry is first needed. Every plugin is called on its own: when it raises, all
    that it has registered is taken back, the plugin is listed as broken, and the others carry on.

    Parameters
    ----------
    registry : pylstm.cells.registry.Registry
        Call ``registry.register(cell)`` for each `pylstm.Cell` subclass. A name that is taken is refused. Cells are
        certified when they are first asked for by name, not here.

    Returns
    -------
    None
        What an implementation returns is ignored.
    """
