"""The plugin manager: finds plugins by entry points, loads them one by one, isolates and reports broken ones.

Nothing is loaded at ``import pylstm``: the first call of `registry`, `status` or `register` does it, once per process.
The hooks themselves are in `pylstm.hookspecs`, the user's page is ``docs/plugins.md``.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import threading
import traceback
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import CodeType
from typing import TYPE_CHECKING, Any

import pluggy

from pylstm import hookspecs
from pylstm.cells.cell import Cell
from pylstm.cells.registry import Owner, Registry
from pylstm.hints import absent, explained, explained_constructor
from pylstm.kinds import KINDS

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

__all__ = ["Record", "register", "registry", "status"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)

GROUP = "pylstm"
VARIABLE = "PYLSTM_DISABLE_PLUGINS"
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("pylstm_"))
"""Names of all hooks."""


@explained_constructor
@dataclass(frozen=True)
class Record:
    """Outcome of a plugin: `status` is ``"ok"``, ``"broken: <reason>"``, ``"disabled"`` or ``"disabled: ..."``.

    Examples
    --------
    >>> import pylstm
    >>> record = next(each for each in pylstm.plugins.status() if each.name == "pylstm_lstm")
    >>> record.status, record.cells
    ('ok', ('lstm',))
    """

    name: str
    distribution: str
    version: str
    status: str
    cells: tuple[str, ...] = ()
    traceback: str = ""


class Plugins:
    """The plugins of one registry, loaded on first use and only once, whatever the number of threads."""

    def __init__(self) -> None:
        self.registry = Registry()
        self.records: tuple[Record, ...] = ()
        self.manager = pluggy.PluginManager(GROUP)
        self._lock = threading.RLock()
        self._loading = False
        self._loaded = False
        self._calling = ""

    def load(self) -> None:
        """Load all plugins, unless that has been done; then warn about each broken one."""
        if self._loaded:
            return
        with self._lock:
            if self._loaded or self._loading:  # loading: a plugin that is being loaded asks for the registry
                return
            self._loading = True
            try:
                with self.registry.transaction(None):  # an interrupt leaves nothing half loaded
                    self._load_all()
                self._loaded = True
            finally:
                self._loading = False
        for record in self.records:
            if record.status.startswith("broken"):
                warnings.warn(_complaint(record), RuntimeWarning, stacklevel=3)

    def _load_all(self) -> None:
        self.manager = pluggy.PluginManager(GROUP)
        self.manager.add_hookspecs(hookspecs)
        disabled = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")} - {""}
        records = []
        for owner, entry_point in _find():
            bundled = owner.distribution == GROUP
            if owner.plugin in disabled or ("all" in disabled and not bundled):
                records.append(_record(owner, "disabled"))
            else:
                records.append(self._load_one(owner, entry_point))
        for name in sorted(disabled - {"all"} - {record.name for record in records}):
            records.append(Record(name, "", "", f"disabled: named in {VARIABLE}, but not installed"))
        self.records = tuple(records)

    def _load_one(self, owner: Owner, entry_point: EntryPoint | Exception) -> Record:
        """Import a plugin and admit it; whatever fails ends in the record."""
        step, handlers = "its entry points cannot be read", _signal_handlers()
        try:
            if isinstance(entry_point, Exception):
                raise entry_point
            step = "it cannot be imported"
            plugin = entry_point.load()
            step = ""
            self._admit(owner, plugin)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything, at import too
            if any(frame.f_code in handlers for frame, _ in traceback.walk_tb(error.__traceback__)):
                raise  # a signal came meanwhile: what its handler raises, SystemExit or TimeoutError, is for the caller
            step = step or f"{self._calling} failed"
            reason = str(error) if isinstance(error, PluginError) else f"{step}: {_describe(error)}"
            return replace(_record(owner, f"broken: {reason}"), traceback="".join(traceback.format_exception(error)))
        return _record(owner, "ok", (entry.cell.name for entry in self.registry.entries() if entry.owner == owner))

    def _admit(self, owner: Owner, plugin: Any) -> None:
        """Check and register a plugin and call its hooks alone; on failure nothing of it stays."""
        self._check(owner, plugin)
        try:
            self.manager.register(plugin, owner.plugin)
            self.manager.check_pending()
            others = [each for each in self.manager.get_plugins() if each is not plugin]
            given: dict[str, dict[str, Any]] = {
                "pylstm_register_cells": {"registry": self.registry},
                "pylstm_register_kinds": {"kinds": KINDS},
            }
            with self.registry.transaction(owner), KINDS.transaction():
                for self._calling, arguments in given.items():
                    self.manager.subset_hook_caller(self._calling, others)(**arguments)
        except BaseException:
            if self.manager.has_plugin(owner.plugin):  # `_check` has seen that the name was free
                self.manager.unregister(name=owner.plugin)
            raise

    def _check(self, owner: Owner, plugin: Any) -> None:
        """Reject what pluggy would ignore silently, or reject with an unhelpful message."""
        if self.manager.has_plugin(owner.plugin):
            raise PluginError(f"another distribution has a plugin named {owner.plugin!r}: rename one entry point")
        if self.manager.is_registered(plugin):
            raise PluginError(f"entry point {self.manager.get_name(plugin)!r} refers to the same object: remove one")
        if inspect.isclass(plugin):
            raise PluginError(f"its entry point must refer to a module or an instance, got the class {plugin.__name__}")
        found = {name: self.manager.parse_hookimpl_opts(plugin, name) for name in dir(plugin)}
        marked = {name: options for name, options in found.items() if options is not None}
        if not marked:
            unmarked = [name for name in HOOKS if callable(getattr(plugin, name, None))]
            cure = f"mark {unmarked[0]} with @pylstm.hookimpl" if unmarked else f"known hooks are {', '.join(HOOKS)}"
            raise PluginError(f"it does not implement any hook: {cure}")
        for name, options in marked.items():
            hook = options.get("specname") or name
            if hook in HOOKS:
                _check_arguments(hook, getattr(plugin, name))
            elif not options.get("optionalhook"):
                import difflib

                close = difflib.get_close_matches(hook, HOOKS)
                hint = f"did you mean {close[0]}?" if close else f"known hooks are {', '.join(HOOKS)}"
                raise PluginError(f"unknown hook {hook!r}: {hint}")


class PluginError(Exception):
    """A plugin is refused; the message is the whole reason."""


def _check_arguments(hook: str, implementation: Any) -> None:
    offered = inspect.signature(getattr(hookspecs, hook)).parameters
    for name, parameter in inspect.signature(implementation).parameters.items():
        if parameter.default is not parameter.empty:
            raise PluginError(
                f"argument {name!r} of its {hook} has a default value, and pluggy never fills such an argument: "
                "remove the default"
            )
        if name not in offered and parameter.kind is not parameter.VAR_KEYWORD:
            raise PluginError(f"its {hook} asks for the unknown argument {name!r} (known: {', '.join(offered)})")


def _find() -> list[tuple[Owner, EntryPoint | Exception]]:
    """All entry points of the group, bundled ones first, then by distribution and name.

    Distributions are read one by one: a file that cannot be parsed must not hide the plugins of all the others.
    """
    found: list[tuple[Owner, EntryPoint | Exception]] = []
    seen = set()
    from importlib.metadata import distributions  # 10 ms: not at `import pylstm`

    for distribution in distributions():
        text = distribution.read_text("entry_points.txt")
        if text is None or f"[{GROUP}]" not in text:
            continue
        name, version = _identify(distribution)
        if name.lower() in seen:  # shadowed by one earlier on sys.path
            continue
        seen.add(name.lower())
        try:
            for entry_point in distribution.entry_points.select(group=GROUP):
                package = entry_point.value.partition(":")[0].partition(".")[0].strip()
                found.append((Owner(package, entry_point.name, name, version), entry_point))
        except Exception as error:
            found.append((Owner(name, name, name, version), error))
    return sorted(found, key=lambda pair: (pair[0].distribution != GROUP, pair[0].distribution, pair[0].plugin))


def _identify(distribution: Distribution) -> tuple[str, str]:
    try:
        return str(distribution.metadata["Name"]), str(distribution.metadata["Version"])
    except Exception:
        return "unknown distribution", ""


def _signal_handlers() -> set[CodeType]:
    """The code of the Python functions that handle signals now."""
    found: set[CodeType | None] = set()
    for number in signal.valid_signals():
        handler: Any = signal.getsignal(number)
        while isinstance(handler, functools.partial):
            handler = handler.func
        if callable(handler) and not inspect.isroutine(handler):
            handler = type(handler).__call__
        found.add(getattr(handler, "__code__", None))  # that of a method is its function's
    return {code for code in found if code is not None}


def _record(owner: Owner, status: str, cells: Iterable[str] = ()) -> Record:
    return Record(owner.plugin, owner.distribution, owner.version, status, tuple(cells))


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _complaint(record: Record) -> str:
    reason = record.status.removeprefix("broken: ")
    return (
        f"the pylstm plugin {record.name!r} of {record.distribution} {record.version} is left out: {reason} "
        f"(where: `pylstm plugins --traceback`; to silence this: {VARIABLE}={record.name})"
    )


_plugins = Plugins()
KINDS.ask(lambda: _plugins.load())


@explained()
def registry() -> Registry:
    """The process-wide registry of cells; loads the plugins on first use.

    Returns
    -------
    pylstm.cells.registry.Registry

    Warns
    -----
    RuntimeWarning
        Once for every plugin that is broken.

    Examples
    --------
    >>> registry().get("lstm", certified=False).states
    ('h', 'c')
    """
    _plugins.load()
    return _plugins.registry


@explained()
def status() -> tuple[Record, ...]:
    """One `Record` per plugin: name, distribution, version, status, cells, and the traceback of a broken one.

    Examples
    --------
    >>> next(record.status for record in status() if record.name == "pylstm_lstm")
    'ok'
    """
    _plugins.load()
    return _plugins.records


@explained()
def register(cell: type[Cell], *, certified: bool = True) -> type[Cell]:
    """Certify a cell of your own and add it to the registry, so that it can be used by name.

    Parameters
    ----------
    cell : subclass of pylstm.Cell
        Its name is ``cell.name``, by default the class name in lower case.
    certified : bool
        With False it is added as it is; layers of a cell that fails need ``certified=False`` then, too.

    Returns
    -------
    subclass of pylstm.Cell
        `cell`: the function works as a class decorator.

    Raises
    ------
    TypeError
        `cell` is not a subclass of `pylstm.Cell`.
    ValueError
        The name is taken; the message names both owners. A class that is defined anew in the same place (a notebook
        cell run twice) replaces the old one.
    pylstm.CertificationError
        The cell's backward is not the derivative of its forward; the cell is not added.

    Examples
    --------
    >>> import pylstm
    >>> from pylstm.cells import Cell, tanh
    >>> @register
    ... class Elman(Cell):
    ...     name = "my elman"
    ...     states = ("h",)
    ...     gates = {"a": "x+h"}
    ...
    ...     def forward(z):
    ...         h = tanh(z.a)
    ...         return {"a": h, "h": h}
    ...
    ...     def backward(d, y):
    ...         return {"a": d.h * (1 - y.h**2)}
    >>> pylstm.plugins.registry().get("my elman") is Elman
    True
    """
    return registry().register(cell, certified=certified)


def training_hooks() -> Any:
    """The hooks of all plugins, to call by name with arguments by name; loads the plugins on first use.

    Examples
    --------
    >>> training_hooks().pylstm_on_fit_end(trainer=None)
    []
    """
    _plugins.load()
    return _plugins.manager.hook
