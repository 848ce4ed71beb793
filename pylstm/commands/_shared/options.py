"""Command-line options shared by the tasks of ``pylstm train``."""

from __future__ import annotations

import argparse
import math
from typing import Any

KEEP_CHECKPOINT = "keep the checkpoint of a finished run, to train longer from it; otherwise it is removed"
"""Help of the option of that name."""


def seed(text: str) -> int:
    """The value of ``--seed``: an integer that NumPy accepts."""
    if int(text) < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {text}")
    return int(text)


def count(text: str) -> int:
    """The value of an option that counts something: an integer of 1 or more."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an integer, got {text!r}") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def above_zero(text: str) -> float:
    """The value of an option that is a number above 0, such as minutes or a learning rate."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be above 0 and finite, got {text}")
    return number


class Given(argparse._StoreAction):
    """Stores a value, and its option among those that somebody gave: ``given`` of the namespace."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, values)
        namespace.given = (*getattr(namespace, "given", ()), self.option_strings[0])


class Options:
    """Adds options whose help ends with their default.

    Parameters
    ----------
    parser : ArgumentParser
    """

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser

    def add(self, *names: str, help: str, **options: Any) -> None:
        """Add an option, as `add_argument` does."""
        shown = "" if options.get("default") is None or options.get("action") else " (%(default)s)"
        if names[0].startswith("-") and "action" not in options:
            options["action"] = Given
        self.parser.add_argument(*names, help=help + shown, **options)

    def net(self, *, hidden: int, layers: int = 1) -> None:
        """Cell and sizes."""
        self.add("--cell", default="lstm", metavar="NAME", help="any of `pylstm cells`")
        self.add("--hidden", type=count, default=hidden, metavar="H", help="hidden units")
        self.add("--size", action="append", metavar="NAME=N", help="further size of the cell, such as proj_size=16")
        self.add("--option", action="append", metavar="NAME=X", help="option of the cell, such as dt=0.01")
        self.add("--layers", type=count, default=layers, metavar="L", help="recurrent layers")
        self.add("--dropout", type=float, default=0.0, metavar="P", help="dropout between layers")
        self.add("--dtype", choices=("float32", "float64"), default="float32", help="dtype of all computations")

    def training(self, *, epochs: int, batch_size: int, lr: float) -> None:
        """Budget and optimiser."""
        self.add("--epochs", type=count, default=epochs, metavar="E", help="passes over the data")
        self.add("--batch-size", type=count, default=batch_size, metavar="B", help="rows per step of the optimiser")
        self.add("--lr", type=above_zero, default=lr, metavar="LR", help="learning rate of Adam at the first step")
        self.add(
            "--validation",
            type=float,
            metavar="F",
            help="share of the data held out of training; its loss is computed after each epoch",
        )
        self.add(
            "--patience", type=count, metavar="N", help="stop after so many epochs without a lower validation loss"
        )
        self.add(
            "--seed", type=seed, default=0, metavar="S", help="seed of the parameters and of the order of the data"
        )

    def table(self, *, fill: bool = False) -> None:
        """Reading of a CSV file; `fill`: of series."""
        from pylstm.commands._shared.reading import add_table_options

        add_table_options(self.parser, fill=fill)

    def output(self, save: str) -> None:
        """Output files and printing."""
        self.add("--save", default=save, metavar="PATH", help="file of the trained model; an existing file is replaced")
        self.add("--checkpoint", metavar="PATH", help="checkpoint file, written regularly; --resume continues from it")
        self.add("--checkpoint-every", type=float, default=30.0, metavar="S", help="seconds between two checkpoints")
        self.add("--keep-checkpoint", action="store_true", help=KEEP_CHECKPOINT)
        self.add("--resume", metavar="PATH", help="continue from a checkpoint, with the same data and settings")
        self.add("--plot", metavar="FILE", help="write a figure (.png, .svg, .pdf)")
        self.add("--json", action="store_true", help="JSON on standard output, the rest on standard error")
        self.add("--quiet", action="store_true", help="no progress")


def sizes_of(args: argparse.Namespace) -> dict[str, Any]:
    """Further sizes of the cell, and its options.

    Raises
    ------
    ValueError
        Not of the form name=number.
    """
    sizes: dict[str, Any] = {}
    for each in args.size or ():
        name, _, number = each.partition("=")
        if not (name.isidentifier() and number.isdecimal()):
            raise ValueError(f"--size must be NAME=N, such as proj_size=16, got {each!r}")
        sizes[name] = int(number)
    for each in args.option or ():
        name, _, text = each.partition("=")
        try:
            sizes[name] = {"true": True, "false": False}.get(text.lower()) if text.isalpha() else _number(text)
        except ValueError:
            sizes[name] = None
        if not name.isidentifier() or sizes[name] is None:
            raise ValueError(f"--option must be NAME=NUMBER, such as dt=0.01, or NAME=true or false, got {each!r}")
    return sizes


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("+-").isdecimal() else float(text)


def training_of(args: argparse.Namespace) -> dict[str, Any]:
    """The options of a fit that `Options.training` takes.

    Raises
    ------
    ValueError
        `--patience` without `--validation`; a share out of range.
    """
    found = {"epochs": args.epochs, "batch_size": args.batch_size, "lr": args.lr, "seed": args.seed}
    if args.validation is not None:
        if not 0 < args.validation < 1:
            raise ValueError(f"--validation must be a share between 0 and 1, got {args.validation:g}")
        found["validation"] = args.validation
    if args.patience is not None:
        if args.validation is None:
            raise ValueError("--patience needs --validation")
        found["patience"] = args.patience
    return found


def check_output(args: argparse.Namespace, **read: str | None) -> dict[str, Any]:
    """Reject output paths that cannot be written or would replace input; return the checkpoint options of a fit."""
    import os

    from pylstm.commands._shared.files import check_distinct, check_plot, check_target

    check_target("--save", args.save)
    check_plot(args.plot)
    if not args.checkpoint_every >= 0:
        raise ValueError("--checkpoint-every must be 0 or more")
    path = args.checkpoint or args.resume
    check_distinct(**read, **{"--save": args.save, "--plot": args.plot, "the checkpoint": path})
    if path is None:
        return {}
    if args.resume is not None:
        if not os.path.isfile(args.resume):
            raise FileNotFoundError(f"--resume {args.resume}: the file does not exist")
        if os.path.realpath(path) != os.path.realpath(args.resume):
            raise ValueError("--resume writes further checkpoints to its own file: leave out --checkpoint")
    check_target("--checkpoint", path)
    return {"checkpoint": path, "every": args.checkpoint_every, "resume": args.resume is not None}
