"""``pylstm train text [FILE]``: train a character model, show what it writes, save it."""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import TYPE_CHECKING, Any

from pylstm.commands._shared.options import KEEP_CHECKPOINT, above_zero, count, seed

if TYPE_CHECKING:
    from pylstm.text.settings import TextSettings
    from pylstm.text.trainer import TextTrainer

MINUTES = 1.0
SAVE = "pylstm-text.safetensors"
MANUAL = "Python's manual topics"
EXAMPLES = (
    "pylstm train text",
    "pylstm train text book.txt --minutes 10 --save book.safetensors",
    "pylstm train text book.txt --resume book.safetensors.checkpoint --minutes 5",
)


def add_parser(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``text`` to ``train``."""
    from pylstm.commands._shared.examples import with_examples
    from pylstm.text.settings import TextSettings

    defaults = TextSettings()
    text = tasks.add_parser(
        "text",
        help="a character model of a text",
        description="Train a character model on a text (by default Python's own manual topics), with truncated "
        "back-propagation through time. The same seed yields the same losses, step by step.",
        **with_examples(*EXAMPLES),
    )

    def add(*names: str, help: str, **options: Any) -> None:
        text.add_argument(*names, help=f"{help} (%(default)s)", **options)

    text.add_argument("file", nargs="?", metavar="FILE", help="a text file in UTF-8; default: Python's manual topics")
    add("--cell", default=defaults.cell, metavar="NAME", help="see `pylstm cells`")
    add("--hidden", type=count, default=defaults.hidden_size, metavar="H", help="hidden units")
    add("--embedding", type=count, default=defaults.embedding_size, metavar="E", help="width of a character's vector")
    add("--seed", type=seed, default=defaults.seed, metavar="S", help="seed of the parameters and of the sample")
    budget = text.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=above_zero, metavar="M", help=f"minutes of training ({MINUTES:g})")
    budget.add_argument("--epochs", type=above_zero, metavar="E", help="passes over the text")
    budget.add_argument("--steps", type=count, metavar="N", help="steps of the optimiser")
    add("--batch-size", type=count, default=defaults.batch_size, metavar="B", help="parallel streams of text")
    add("--length", type=count, default=defaults.length, metavar="T", help="steps between two updates")
    text.add_argument("--depth", type=count, metavar="T", help="steps that gradients go back (as --length)")
    add("--lr", type=above_zero, default=defaults.lr, metavar="LR", help="peak learning rate of Adam")
    add("--dtype", choices=("float32", "float64"), default=defaults.dtype, help="dtype of all computations")
    add("--save", default=SAVE, metavar="PATH", help="file of the trained model; an existing file is replaced")
    text.add_argument("--checkpoint", metavar="PATH", help="checkpoint file, written regularly (SAVE.checkpoint)")
    add("--checkpoint-every", type=float, default=30.0, metavar="S", help="seconds between two checkpoints")
    text.add_argument("--keep-checkpoint", action="store_true", help=KEEP_CHECKPOINT)
    text.add_argument("--resume", metavar="PATH", help="continue from a checkpoint, with the same text and settings")
    add("--sample", type=int, default=400, metavar="N", help="characters of generated text to show")
    add("--temperature", type=float, default=0.6, metavar="F", help="of the sample; lower: likelier characters")
    text.add_argument("--plot", metavar="FILE", help="write the losses as a figure (.png, .svg, .pdf)")
    text.add_argument("--json", action="store_true", help="JSON on standard output, the rest on standard error")
    text.add_argument("--quiet", action="store_true", help="no progress and no sample")


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit status: 0, 130 after Ctrl-C, 143 after SIGTERM."""
    from pylstm.commands._shared.files import check_distinct, check_plot, check_target, drop_checkpoint, exit_status
    from pylstm.commands._shared.fitting import run_fit
    from pylstm.commands._shared.output import print_json
    from pylstm.datasets import manual_topics, read_text
    from pylstm.saving import save
    from pylstm.text.settings import Budget
    from pylstm.text.trainer import TextTrainer

    args.checkpoint = args.checkpoint or args.resume or f"{args.save}.checkpoint"
    check_target("--save", args.save)
    check_target("--checkpoint", args.checkpoint)
    check_plot(args.plot)
    check_distinct(**{"FILE": args.file, "--save": args.save, "--plot": args.plot, "the checkpoint": args.checkpoint})
    if not args.checkpoint_every >= 0:
        raise ValueError("--checkpoint-every must be 0 or more")
    if not (0 <= args.temperature < float("inf") and args.sample >= 0):
        raise ValueError("--temperature and --sample must be 0 or more, and finite")
    no_limit = args.minutes is args.epochs is args.steps is None
    budget = Budget(MINUTES if no_limit else args.minutes, args.epochs, args.steps)
    text = manual_topics() if args.file is None else read_text(args.file)
    settings = _settings(args)
    trainer = TextTrainer.resume(args.resume, text, settings) if args.resume else TextTrainer(text, settings)
    _introduce(args.file or MANUAL, trainer, args)
    target = {"checkpoint": args.checkpoint, "every": args.checkpoint_every}
    _, number, fitted = run_fit(lambda **more: trainer.run(budget, **more), args, **target)
    save(args.save, trainer.model, about=_about(args, text, settings))
    found = _conclude(trainer, args, fitted)
    if args.plot:
        _plot(trainer, args.plot)
    if args.json:
        print_json(found)
    drop_checkpoint(args, args.checkpoint, number)
    return exit_status(number)


def _about(args: argparse.Namespace, text: str, settings: TextSettings) -> dict[str, Any]:
    """The file's record of the training text, for `pylstm evaluate`."""
    from pylstm.datasets.text import digest

    data = "manual-topics" if args.file is None else os.path.abspath(args.file)
    return {"task": "text", "data": data, "digest": digest(text), "held_out": settings.validation}


def _settings(args: argparse.Namespace) -> TextSettings:
    from pylstm.text.settings import TextSettings

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


def _introduce(source: str, trainer: TextTrainer, args: argparse.Namespace) -> None:
    from pylstm.commands._shared.files import say
    from pylstm.text.trainer import SAMPLE

    settings, vocabulary = trainer.settings, trainer.vocabulary
    train, validation = len(trainer.train_indices), len(trainer.validation_indices)
    size = sum(params.size for params in trainer.model.params)
    say(
        args,
        f"text   {source}: {train:,} characters to train on, {validation:,} to validate"
        f"{f' (a sample of {SAMPLE:,})' if validation > SAMPLE else ''}, {len(vocabulary)} different",
        f"model  {settings.cell}, {settings.hidden_size} units, {size:,} parameters, {settings.dtype}, "
        f"seed {settings.seed}; {settings.batch_size} streams of {settings.length} steps",
    )
    if trainer.trace:
        say(args, f"resume after {len(trainer.trace)} steps, {trainer.seconds:.0f} s")


def _last_line(text: str) -> str:
    return text[-40:].rpartition("\n")[2]


def _conclude(trainer: TextTrainer, args: argparse.Namespace, fitted: dict[str, Any]) -> dict[str, Any]:
    """Print the results, and return them for JSON."""
    steps, speed = len(trainer.trace), 0.0
    if trainer.seconds > 0:
        speed = steps * trainer.settings.batch_size * trainer.settings.length / trainer.seconds
    bits, bigram = trainer.validate(), trainer.bigram()
    found = {
        "task": "text",
        "steps": steps,
        "epochs": steps / trainer.source.per_epoch,
        "seconds": trainer.seconds,
        "interrupted": fitted["interrupted"],
        "bits_per_character": {"train": trainer.train_bits, "validation": bits, "bigram_model": bigram},
        "saved": args.save,
        "losses": trainer.trace,
    }
    if args.sample and not args.quiet and math.isfinite(bits):
        settings = {"prompt": trainer.prompt, "temperature": args.temperature, "seed": args.seed}
        found["sample"] = trainer.model.generate(args.sample, **settings)
    if not args.json:
        _print(found, speed, args, trainer.prompt)
    return found


def _print(found: dict[str, Any], speed: float, args: argparse.Namespace, prompt: str) -> None:
    ended = "interrupted after " if found["interrupted"] else ""
    print(
        f"done   {ended}{found['steps']} steps, {found['epochs']:.2f} epochs, {found['seconds']:.1f} s, "
        f"{speed:,.0f} characters per second"
    )
    bits = found["bits_per_character"]
    print(
        f"bits per character: train {bits['train']:.3f}, validation {bits['validation']:.3f}, "
        f"bigram model {bits['bigram_model']:.3f}"
    )
    if "sample" in found:
        print(f"sample at temperature {args.temperature:g}, after '...{_last_line(prompt)}':\n{found['sample']}")
    print(f"saved  {args.save}")


def _plot(trainer: TextTrainer, path: str) -> None:
    from pylstm.plots.fits import draw_losses, new_figure, write

    figure, (axes,) = new_figure(1)
    draw_losses(axes, trainer.trace, per_epoch=trainer.source.per_epoch, unit="bits per character")
    axes.axhline(trainer.bigram(), color="0.5", linestyle="--", linewidth=1)
    axes.set_title(f"{trainer.settings.cell}, {trainer.settings.hidden_size} units; dashed: a bigram model")
    write(figure, path)
    print(f"plot: {path}", file=sys.stderr)
