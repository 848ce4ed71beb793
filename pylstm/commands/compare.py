"""``pylstm compare``: cells side by side on a task, with equal numbers of parameters."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from pylstm.commands._shared.options import above_zero, count

if TYPE_CHECKING:
    from pylstm.comparing.comparison import Result, Settings, Trace
    from pylstm.comparing.tasks import Task
    from pylstm.training.progress import Progress

TASKS = ("copy", "adding", "digits", "text")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from pylstm.commands._shared.examples import with_examples

    parser = subparsers.add_parser(
        "compare",
        help="train cells on a task with the same number of parameters, data and seeds",
        description="Train each cell with the same number of parameters, data and seeds, and print the loss on "
        "held-out data. With --steps, the same command prints the same losses.",
        **with_examples(
            "pylstm compare lstm,gru --task adding",
            'pylstm compare "lstm,mlstm(heads=4),cornn(dt=0.02)" --task adding',
            "pylstm compare lstm,mycell.py:MyCell --task copy --length 50 --minutes 1 --plot copy.png",
        ),
    )
    parser.add_argument(
        "cells",
        metavar="CELLS",
        help="names, module:Class or file.py:Class, separated by commas; options and sizes in parentheses",
    )
    parser.add_argument("--task", choices=TASKS, required=True, help="task to learn")

    def add(name: str, help: str, **options: Any) -> None:
        parser.add_argument(name, help=f"{help} (%(default)s)", **options)

    add("--params", "parameters of the whole model", type=count, default=10_000, metavar="N")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--steps", type=count, metavar="N", help="steps of the optimiser (500)")
    budget.add_argument(
        "--minutes", type=above_zero, metavar="M", help="minutes for each cell and seed, in place of --steps"
    )
    add("--seeds", "runs of each cell", type=count, default=3, metavar="N")
    add("--lr", "learning rate of Adam", type=above_zero, default=5e-3, metavar="LR")
    add("--dtype", "of all computations", choices=("float32", "float64"), default="float32")
    parser.add_argument("--length", type=count, metavar="T", help="steps to bridge (copy 30, adding 50, text 64)")
    parser.add_argument("--plot", metavar="FILE", help="write a figure: loss against time and against steps")
    parser.add_argument("--json", action="store_true", help="machine-readable output, with all losses")


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit status: 0, or 1 if no cell was trained to the end."""
    from pylstm.commands._shared.cells import find_with, names_in
    from pylstm.commands._shared.files import check_plot
    from pylstm.commands._shared.output import print_json
    from pylstm.comparing.comparison import Settings, compare
    from pylstm.comparing.tasks import TASKS as factories
    from pylstm.training.progress import Progress

    check_plot(args.plot)
    steps = 500 if args.steps is args.minutes is None else args.steps
    settings = Settings(args.params, steps, args.minutes, args.seeds, args.lr, dtype=args.dtype)
    cells = [each for name in names_in(args.cells) for each in find_with(name)]
    if not cells:
        raise ValueError("at least one cell is needed: pass its name")
    task = factories[args.task](args.length)
    progress = Progress(lines=False, leave=False)
    with progress.begun(0.0):
        results = compare(cells, task, settings, _reporter(progress, settings, len(cells)))
    if args.json:
        fields = ("name", "unit", "baseline", "trivial")
        about = {"task": {field: getattr(task, field) for field in fields}, "settings": vars(settings)}
        print_json(about | {"cells": [result.as_dict() for result in results]})
    else:
        _print(results, task, settings)
    if args.plot:
        from pylstm.plots.comparison import plot

        plot(results, task, args.plot)
        print(f"plot: {args.plot}", file=sys.stderr)
    return 0 if any(result.held_out for result in results) else 1


def _reporter(progress: Progress, settings: Settings, cells: int) -> Any:
    """Shows the share of all runs that is done."""
    done: dict[tuple[str, int], float] = {}

    def report(cell: str, trace: Trace) -> None:
        done[cell, trace.seed] = min(1.0, settings.budget.share(len(trace.losses), trace.seconds[-1], None))
        share = sum(done.values()) / (cells * settings.seeds)
        progress.show(share, lambda: f"{cell}, seed {trace.seed}: {trace.losses[-1]:.3g}")

    return report


def _print(results: list[Result], task: Task, settings: Settings) -> None:
    from pylstm.commands._shared.output import print_table
    from pylstm.comparing.sizing import TOLERANCE

    rows = []
    for result in results:
        losses, steps = result.held_out, [len(trace.losses) for trace in result.traces]
        seconds = sum(trace.seconds[-1] for trace in result.traces if trace.seconds)
        rows.append(
            (
                result.cell,
                _sizes(result),
                f"{result.params:,}" if result.params else "",
                f"{result.state:,}" if result.state else "",
                f"{sum(losses) / len(losses):.4g}" if losses else "",
                f"{min(losses):.4g}..{max(losses):.4g}" if losses else "",
                " ".join(map(str, dict.fromkeys(steps))),
                f"{1000 * seconds / sum(steps):.2f}" if sum(steps) else "",
                result.status,
            )
        )
    print_table(("cell", "hidden", "params", "state", "loss", "seeds", "steps", "ms/step", "status"), rows)
    print(f"task {task.name}: held-out loss in {task.unit}; {task.trivial}: {task.baseline:.4g}")
    far = [r.cell for r in results if r.params and abs(r.params / settings.params - 1) > TOLERANCE]
    if far:
        print(f"note: more than 5 % off {settings.params:,} parameters, no size is nearer: {', '.join(far)}")


def _sizes(result: Result) -> str:
    """The hidden size, and the size of its own by which the cell has its parameters."""
    chosen = [f"{name}={size}" for name, size in result.sizes.items() if f"{name}={size}" not in result.cell]
    return " ".join([*([str(result.hidden_size)] if result.hidden_size else []), *chosen])
