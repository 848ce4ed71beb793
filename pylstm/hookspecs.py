"""The whole plugin API on one page: the hooks that a plugin may implement.

A plugin is a module (or an object) named by an entry point of group ``pylstm``. It implements a hook by a function
of the hook's name, marked with `hookimpl`, with any subset of the hook's arguments, by name, none with a default
value (pluggy never fills those, so they are refused). Hooks are called at set-up time or between steps of training,
never inside a time loop. The training hooks follow every loop of training: `pylstm.fit` and all that is made of it
(estimators, forecasts, classification), training on a text, `pylstm compare`, `fit_lbfgs`. An exception that one raises
ends that loop and reaches its caller; model, optimiser and trainer are as after the step before, and may go on.
How plugins are found, and what happens to a broken one: ``docs/plugins.md``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

__all__ = [
    "hookimpl",
    "pylstm_on_epoch_end",
    "pylstm_on_fit_begin",
    "pylstm_on_fit_end",
    "pylstm_on_step_end",
    "pylstm_register_cells",
    "pylstm_register_kinds",
]

if TYPE_CHECKING:
    from pylstm.cells.registry import Registry
    from pylstm.kinds import Kinds

Hook = TypeVar("Hook", bound=Callable[..., Any])

hookspec = pluggy.HookspecMarker("pylstm")
"""Marks the specifications on this page."""

hookimpl = pluggy.HookimplMarker("pylstm")
"""Marks a plugin's implementation of a hook; public as ``pylstm.hookimpl``."""

TRAINING = """Parameters
----------
trainer : object
    The loop, with `model`, `optimiser`, `history`, `step`, `epoch` and `stop()`: a `pylstm.Trainer`, or what other
    loops have (docs/plugins.md).

Returns
-------
None
    What an implementation returns is ignored.
"""


def _training(hook: Hook) -> Hook:
    """Specify a training hook: what all of them take and return stands in its docstring before the example."""
    text, heading, example = inspect.cleandoc(hook.__doc__ or "").partition("Examples\n")
    hook.__doc__ = f"{text.rstrip()}\n\n{TRAINING}\n{heading}{example}"
    return hookspec(hook)


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

    Examples
    --------
    >>> import pylstm
    >>> class Slow(pylstm.Cell):
    ...     states, gates = ("h",), {"a": "x+h"}
    ...     def forward(z, prev):
    ...         return {"h": 0.9 * prev.h + pylstm.tanh(z.a)}
    >>> @pylstm.hookimpl
    ... def pylstm_register_cells(registry):
    ...     registry.register(Slow)
    >>> pylstm_register_cells(pylstm.plugins.registry())  # as pylstm calls the function of a plugin
    >>> pylstm.Recurrent("slow", 3, 5)
    Recurrent('slow', 3, 5, dtype='float32')
    """


@hookspec
def pylstm_register_kinds(kinds: Kinds) -> None:
    """Announce layers and models that files may hold, by the names that files call them.

    Called once, with the other plugins, when a file has a kind that is unknown, or a cell is needed. A class says its
    kind itself, ``class Gate(Layer, kind="gate")``.

    Parameters
    ----------
    kinds : pylstm.kinds.Kinds
        Call ``kinds.later("gate", "gates.layers")`` for each kind, with the module that defines its class, which is
        imported when a file needs it.

    Returns
    -------
    None
        What an implementation returns is ignored.

    Examples
    --------
    >>> import pylstm
    >>> @pylstm.hookimpl
    ... def pylstm_register_kinds(kinds):
    ...     kinds.later("gate", "gates.layers")
    """


@_training
def pylstm_on_fit_begin(trainer: Any) -> None:
    """Look at a fit, or change its settings, before its first step: ``trainer.optimiser``, ``trainer.callbacks``.

    Also at the beginning of one that is resumed, with ``trainer.step`` above 0.

    Examples
    --------
    >>> import pylstm
    >>> @pylstm.hookimpl
    ... def pylstm_on_fit_begin(trainer):
    ...     trainer.optimiser.lr = 1e-3
    """


@_training
def pylstm_on_step_end(trainer: Any) -> None:
    """Look at a fit after every step of the optimiser: ``trainer.step``, ``trainer.history.steps[-1]``.

    A step of `fit_lbfgs` is an iteration. Called between two steps: what it takes adds to the time of every step.

    Examples
    --------
    >>> import pylstm
    >>> @pylstm.hookimpl
    ... def pylstm_on_step_end(trainer):
    ...     if trainer.step % 100 == 0:
    ...         print(trainer.step, trainer.history.steps[-1])
    """


@_training
def pylstm_on_epoch_end(trainer: Any) -> None:
    """Look at a fit after every epoch, when its losses are in ``trainer.history``.

    Of `fit_lbfgs` every iteration is an epoch; a comparison has none. ``trainer.stop()`` ends the fit; the
    callables in ``trainer.callbacks`` come after the hooks.

    Examples
    --------
    >>> import pylstm
    >>> @pylstm.hookimpl
    ... def pylstm_on_epoch_end(trainer):
    ...     if trainer.history.loss[-1] < 0.01:
    ...         trainer.stop()
    """


@_training
def pylstm_on_fit_end(trainer: Any) -> None:
    """Look at a fit that has ended, when the best parameters are set: ``trainer.history.stopped`` says why.

    Not called when the fit ends by an exception.

    Examples
    --------
    >>> import pylstm
    >>> @pylstm.hookimpl
    ... def pylstm_on_fit_end(trainer):
    ...     print(trainer.history.stopped, trainer.step)
    """


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
