"""`pylstm train text [FILE]`: train a character model, show what it writes, save it."""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylstm.training.settings import Budget, TextSettings
    from pylstm.training.text import TextTrainer

MINUTES = 1.0
SAVE = "pylstm-text.safetensors"
INTERRUPTED = 128
"""Exit status after a signal, less its number, as shells have it: 130 after Ctrl-C, 143 after SIGTERM."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add ``train`` to the command line."""
    from pylstm.training.settings import TextSettings

    defaults = TextSettings()
    parser = subparsers.add_parser("train", help="train a net on real data")
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    text = tasks.add_parser(
        "text",
        help="a character model of a text",
        description="Train a character model on a text (by default Python's own manual topics), with truncated "
        "back-propagation through time. The same seed gives the same losses, step by step.",
    )

    def add(*names: str, help: str, **options: Any) -> None:
        text.add_argument(*names, help=f"{help} (%(default)s)", **options)

    text.add_argument("file", nargs="?", metavar="FILE", help="a text file in UTF-8; without it Python's manual topics")
    add("--cell", default=defaults.cell, metavar="NAME", help="see `pylstm cells`")
    add("--hidden", type=int, default=defaults.hidden_size, metavar="H", help="hidden units")
    add("--embedding", type=int, default=defaults.embedding_size, metavar="E", help="length of a character's vector")
    add("--seed", type=int, default=defaults.seed, metavar="S", help="of the parameters and the sample")
    budget = text.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, metavar="M", help=f"train so long ({MINUTES:g})")
    budget.add_argument("--epochs", type=float, metavar="E", help="passes over the text")
    budget.add_argument("--steps", type=int, metavar="N", help="steps of the optimiser")
    add("--batch-size", type=int, default=defaults.batch_size, metavar="B", help="parallel streams of text")
    add("--length", type=int, default=defaults.length, metavar="T", help="steps between two updates")
    text.add_argument("--depth", type=int, metavar="T", help="steps that gradients go back (as --length)")
    add("--lr", type=float, default=defaults.lr, metavar="LR", help="peak learning rate of Adam")
    add("--dtype", choices=("float32", "float64"), default=defaults.dtype, help="of all computations")
    add("--save", default=SAVE, metavar="PATH", help="where the model goes; an older file is replaced")
    text.add_argument("--checkpoint", metavar="PATH", help="written regularly, to go on from (SAVE.checkpoint)")
    add("--checkpoint-every", type=float, default=30.0, metavar="S", help="seconds between two checkpoints")
    text.add_argument("--resume", metavar="PATH", help="go on from a checkpoint, with the same text and settings")
    add("--sample", type=int, default=400, metavar="N", help="characters of generated text to show")
    add("--temperature", type=float, default=0.6, metavar="F", help="of the sample; lower is safer")
    text.add_argument("--quiet", action="store_true", help="no progress and no sample")


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit status: 0, 1 if training diverged, 130 after Ctrl-C, 143 after SIGTERM."""
    from pylstm.datasets import manual_topics, read_text
    from pylstm.saving import save
    from pylstm.training.settings import Budget
    from pylstm.training.text import TextTrainer, TrainingDiverged

    args.checkpoint = args.checkpoint or args.resume or f"{args.save}.checkpoint"
    _check_target("--save", args.save)
    _check_target("--checkpoint", args.checkpoint)
    if not args.checkpoint_every >= 0:
        raise ValueError("--checkpoint-every must be 0 or more")
    if not (args.temperature >= 0 and args.sample >= 0):
        raise ValueError("--temperature and --sample must be 0 or more")
    no_limit = args.minutes is args.epochs is args.steps is None
    budget = Budget(MINUTES if no_limit else args.minutes, args.epochs, args.steps)
    text = manual_topics() if args.file is None else read_text(args.file)
    settings = _settings(args)
    trainer = TextTrainer.resume(args.resume, text, settings) if args.resume else TextTrainer(text, settings)
    if not args.quiet:
        _introduce(args.file or "Python's manual topics", trainer)
    try:
        _train(trainer, budget, args)
    except TrainingDiverged as error:
        print(f"pylstm train text: {error}; no model was saved", file=sys.stderr)
        return 1
    save(args.save, trainer.model)
    _conclude(trainer, args)
    return INTERRUPTED + trainer.signal if trainer.interrupted else 0


def _settings(args: argparse.Namespace) -> TextSettings:
    from pylstm.training.settings import TextSettings

    return TextSettings(
        cell=args.cell,
        hidden_size=args.hidden,
        embedding_size=args.embedding,
        batch_size=args.batch_size,
        length=args.length,
        depth=args.depth,
        lr=args.lr,
        dtype=args.dtype,
        seed=args.seed,
    )


def _check_target(option: str, path: str) -> None:
    """Refuse before training what could not be saved after it."""
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise ValueError(f"{option} {path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{option} {path}: no permission to write in {folder}")
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{option} {path}: is there and is not a regular file")


def _introduce(source: str, trainer: TextTrainer) -> None:
    settings, vocabulary = trainer.settings, trainer.vocabulary
    train, validation = len(trainer.train_indices), len(trainer.validation_indices)
    size = sum(params.size for params in trainer.model.params)
    print(f"text   {source}: {train:,} characters to train on, {validation:,} to validate, {len(vocabulary)} different")
    print(
        f"model  {settings.cell}, {settings.hidden_size} units, {size:,} parameters, {settings.dtype}, "
        f"seed {settings.seed}; {settings.batch_size} streams of {settings.length} steps",
        flush=True,
    )
    if trainer.trace:
        print(f"resume after {len(trainer.trace)} steps, {trainer.seconds:.0f} s", flush=True)


def _train(trainer: TextTrainer, budget: Budget, args: argparse.Namespace) -> None:
    target = {"checkpoint": args.checkpoint, "every": args.checkpoint_every}
    if args.quiet:
        trainer.run(budget, **target)
        return
    from pylstm.training.progress import Progress

    progress = Progress(budget, trainer.steps_per_epoch)
    try:
        trainer.run(budget, progress, **target)
    finally:
        progress.close()


def _last_line(text: str) -> str:
    return text[-40:].rpartition("\n")[2]


def _conclude(trainer: TextTrainer, args: argparse.Namespace) -> None:
    steps, speed = len(trainer.trace), 0.0
    if trainer.seconds > 0:
        speed = steps * trainer.settings.batch_size * trainer.settings.length / trainer.seconds
    ended = "interrupted after " if trainer.interrupted else ""
    print(
        f"done   {ended}{steps} steps, {steps / trainer.steps_per_epoch:.2f} epochs, {trainer.seconds:.1f} s, "
        f"{speed:,.0f} characters per second"
    )
    bits, bigram = trainer.validate(), trainer.bigram()
    print(f"bits per character: train {trainer.train_bits:.3f}, validation {bits:.3f}, bigram model {bigram:.3f}")
    if args.sample and not args.quiet and math.isfinite(bits):
        sample = trainer.model.generate(
            args.sample, prompt=trainer.prompt, temperature=args.temperature, seed=args.seed
        )
        print(f"sample at temperature {args.temperature:g}, after '...{_last_line(trainer.prompt)}':\n{sample}")
    print(f"saved  {args.save}")
