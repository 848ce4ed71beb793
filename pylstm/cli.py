"""The command line. Each module of `pylstm.commands` is a sub-command, imported when it is asked for.

A command module has ``add_parser(subparsers)``, which adds the parser of its own name, and ``run(args) -> int``, which
returns the exit status. It imports what is heavy inside `run`: ``pylstm --help`` imports every command.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

from pylstm import commands

USER_ERRORS = (ValueError, TypeError, LookupError, OSError, ImportError, OverflowError, MemoryError)
"""What a user's input can raise: one line and exit status 2. Anything else is a bug of ours and keeps its traceback."""

BUGS = (KeyError, IndexError, UnboundLocalError)
"""Those of them that the library never raises on purpose."""


def command_names() -> tuple[str, ...]:
    """Names of the sub-commands, without importing any: a module ``new_cell`` is the command ``new-cell``."""
    names = (module.name for module in pkgutil.iter_modules(commands.__path__))
    return tuple(sorted(name.replace("_", "-") for name in names if not name.startswith("_")))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program name; default ``sys.argv[1:]``.

    Returns
    -------
    int
        Exit status: that of the command, 2 for errors that a user can cause, 130 after Ctrl-C, 141 when the reader of
        our output went away.

    Raises
    ------
    SystemExit
        From argparse: after ``--help`` (status 0), and for wrong arguments (status 2).
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    standard = warnings.formatwarning
    if "--traceback" not in argv:
        warnings.formatwarning = lambda message, *_, **__: f"pylstm: warning: {' '.join(str(message).split())}\n"
    try:
        status = _run(argv)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The interpreter flushes stdout once more at exit: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except USER_ERRORS as error:
        if isinstance(error, BUGS) or "--traceback" in argv:
            raise
        message = " ".join(_text(error).split()) or type(error).__name__
        message = "; ".join([message, *getattr(error, "__notes__", ())])
        print(f"pylstm: error: {message}", file=sys.stderr)
        return 2
    finally:
        warnings.formatwarning = standard


def _text(error: BaseException) -> str:
    """What it says; of an error of the system the file first, without a number: ``nofile.txt: does not exist``."""
    if not isinstance(error, OSError) or not error.strerror or error.filename is None:
        return str(error)
    from pylstm.files import explained

    return str(explained(error, error.filename))


def _run(argv: list[str]) -> int:
    names = command_names()
    chosen = next((word for word in argv if not word.startswith("-")), None)
    modules = {name: _load(name) for name in ([chosen] if chosen in names else names)}
    args = _parser(modules, names).parse_args(argv)
    if args.version:
        print(_version())
        return 0
    if args.command is None:
        _parser(modules, names).print_help()
        return 0
    return int(modules[args.command].run(args))


def _parser(modules: dict[str, ModuleType], names: tuple[str, ...]) -> argparse.ArgumentParser:
    from pylstm.commands._shared.examples import with_examples

    examples = with_examples(
        "pylstm train forecast co2",
        "pylstm predict pylstm-forecast.safetensors",
        "pylstm check lstm",
        remark="Each command has its own help: pylstm train forecast --help",
    )
    parser = argparse.ArgumentParser(
        prog="pylstm", description="Recurrent networks on CPUs.", allow_abbrev=False, **examples
    )
    parser.add_argument("--version", action="store_true", help="version of pylstm, Python and instruction set; exit")
    parser.add_argument("--traceback", action="store_true", help="show where an error was raised")
    metavar = "{" + ",".join(names) + "}"
    subparsers = parser.add_subparsers(dest="command", title="commands", metavar=metavar)
    for module in modules.values():
        module.add_parser(subparsers)
    return parser


def whole_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    names = command_names()
    return _parser({name: _load(name) for name in names}, names)


def _load(name: str) -> ModuleType:
    return importlib.import_module(f"pylstm.commands.{name.replace('-', '_')}")


def _version() -> str:
    from importlib.metadata import version

    from pylstm.engine.levels import level

    python = ".".join(map(str, sys.version_info[:3]))
    return f"pylstm {version('pylstm')} (Python {python}, instruction set {level})"
