"""Whole jobs as a user runs them: pylstm beside PyTorch, JAX and Keras, each in a process of its own.

    python benchmarks/jobs.py [--quick] [--tasks NAME,...] [--cells NAME,...] [--inference] [--threads N]
                              [--minutes M] [--text FILE]
                              [--peers NAME,...] [--size BxTxIxHxK] [--json FILE] [--plot FILE.svg [--dark]]
    python benchmarks/jobs.py --from FILE [--from FILE ...] [--json FILE] [--plot FILE.svg [--dark]]

A training step is embedding (of a text), layer, head, softmax cross-entropy, clipping by norm and Adam. Contestants
start from the same weights and see the same batches; where their first losses differ, nothing is measured. Then they
work in turn, round by round, while the others wait on a pipe; a time is the median over the rounds. No variable about
threads is set, and those of the caller are taken away, unless --threads gives all the same number, and so many cores.
With --inference a model with its head runs forward only, beside ONNX Runtime, too. Peers that are not installed are
left out. MB is the most memory that a process has had, its libraries included. The plot has a bar for each peer, its
time divided by that of pylstm. With --from nothing is measured: tables and plot are those of one --json, or of several
with different works or tasks, such as training and inference.

Then come jobs of pylstm alone from end to end: `pylstm train text`, for --minutes, of --text or of Python's manual
topics, and fits of `SequenceClassifier` (digits) and `Forecaster` (a series of 600 months).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["--child"]:
        from contest.jobs.child import serve

        return serve(*arguments[1:])
    if arguments[:1] == ["--end"]:
        from contest.jobs.ends import serve_end

        return serve_end(*arguments[1:])
    options = parse(arguments)
    if options.redraw:
        show(options.redraw)
        return finish(options.redraw, options)
    return measure(options)


def parse(arguments: list[str]) -> argparse.Namespace:
    from contest.choices import chosen, positive, results, size, to_plot, to_read, to_write, whole
    from contest.jobs.ends import ENDS
    from contest.jobs.run import ENTRANTS
    from contest.jobs.tasks import CELLS, TASK
    from contest.machine import available_cores

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few short rounds: a look, not a result")
    parser.add_argument("--tasks", help=f"of {', '.join([*TASK, *ENDS])}")
    parser.add_argument("--cells", help=f"of {', '.join(CELLS)}")
    parser.add_argument("--peers", metavar="NAME,...", help="beside pylstm; default: all that are installed")
    five = size("BTIHK", "16x64x64x256x100")
    parser.add_argument(
        "--size", type=five, metavar="BxTxIxHxK", help="rows, steps, inputs, units and classes of every task"
    )
    parser.add_argument("--inference", action="store_true", help="forward only")
    cores = whole(1, available_cores(), "the cores that this process may use")
    parser.add_argument(
        "--threads", type=cores, metavar="N", help="of each contestant, on N cores; else their defaults"
    )
    parser.add_argument("--minutes", type=positive, metavar="M", help="of `pylstm train text` (1)")
    parser.add_argument(
        "--text", type=to_read, metavar="FILE", help="for `pylstm train text`; default: Python's manual topics"
    )
    parser.add_argument("--json", type=to_write, metavar="FILE")
    parser.add_argument("--plot", type=to_plot, metavar="FILE.svg")
    parser.add_argument("--dark", action="store_true", help="the plot for a dark page")
    target = ("label", "mean", "worst", "worst_size", "wanted_mean", "met")
    earlier = results("machine", "threads", "works", row=("size", "contestants", "ratios", "wanted"), target=target)
    about = "an earlier --json instead of a run; several, if their works or tasks differ"
    parser.add_argument("--from", dest="redraw", type=earlier, action="append", metavar="FILE", help=about)
    options = parser.parse_args(arguments)
    options.redraw = together(parser, options.redraw)
    options.tasks = chosen(parser, "--tasks", options.tasks, [*TASK, *ENDS])
    options.cells = chosen(parser, "--cells", options.cells, [*CELLS])
    options.peers = chosen(parser, "--peers", options.peers, ENTRANTS["infer" if options.inference else "train"])
    options.size = dict(zip("BTIHK", options.size)) if options.size else {}
    return options


def together(parser: argparse.ArgumentParser, several: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    """The files of --from as one."""
    from contest.jobs.joined import joined

    try:
        return joined(several) if several else None
    except ValueError as error:
        parser.error(f"--from: the files are {error}: show them one by one")


def measure(options: argparse.Namespace) -> int:
    """Run what the options ask for."""
    from contest import machine
    from contest.jobs import run
    from contest.jobs.child import Failed
    from contest.jobs.tasks import TASK
    from contest.measure import Disagreement

    kind = "infer" if options.inference else "train"
    names = run.there(kind, options.peers)
    cores = machine.pin(options.threads) if options.threads else []
    found: dict[str, Any] = {"machine": machine.describe(names), "threads": options.threads, "works": []}
    print(machine.sentence(found["machine"]))
    print(
        f"{f'{options.threads} thread(s), cores {cores}' if options.threads else 'threads as installed'}; "
        f"load {found['machine']['load']} before"
    )
    if len(names) < len(run.ENTRANTS[kind]):
        print("Left out:", ", ".join(name for name in run.ENTRANTS[kind] if name not in names))
    tasks = [name for name in options.tasks if name in TASK]
    try:
        for cell in options.cells if tasks else []:
            found["works"].append(one_cell(cell, kind, names, tasks, options))
        if not options.inference:
            found["ends"] = from_end_to_end(options)
    except (Disagreement, Failed) as error:
        what = "Nothing is measured where results differ. " if isinstance(error, Disagreement) else ""
        print(f"\n{what}{error}", file=sys.stderr)
        return 1
    return finish(found, options)


def one_cell(
    cell: str, kind: str, names: tuple[str, ...], tasks: list[str], options: argparse.Namespace
) -> dict[str, Any]:
    """The result of a cell with all tasks, printed as soon as it is there."""
    from contest.jobs import run, table
    from contest.jobs.tasks import TASK

    rows = []
    for task in tasks:
        if sys.stderr.isatty():
            print(f"{cell} {task:40}", end="\r", file=sys.stderr, flush=True)
        effort = run.QUICK if options.quick else run.FULL
        row = run.run_row(replace(TASK[task], **options.size), cell, kind, names, effort, options.threads)
        rows.append(row | {"wanted": table.row_wanted(options.threads, kind, task, cell)})
    work = {
        "name": f"{cell}-{kind}",
        "title": run.titles(kind)[cell],
        "sizes": "",
        "rows": rows,
        "targets": [table.reached(rows, None)],
    }
    print(f"\n{table.work_table(work)}", flush=True)
    return work


def from_end_to_end(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The results of the jobs of pylstm alone, printed."""
    from contest.jobs.ends import ENDS, run_ends
    from contest.jobs.table import ends_table

    results, missing = run_ends([name for name in options.tasks if name in ENDS], options)
    if missing:
        print("\nLeft out, since scikit-learn is not installed:", ", ".join(missing))
    if results:
        print(f"\n{ends_table(results)}", flush=True)
    return results


def show(found: dict[str, Any]) -> None:
    from contest.jobs import table

    for work in found["works"]:
        print(f"{table.work_table(work)}\n")
    if found.get("ends"):
        print(table.ends_table(found["ends"]))


def finish(found: dict[str, Any], options: argparse.Namespace) -> int:
    """Summary, JSON and plot."""
    from contest.jobs import bars, table

    found.pop("all", None)
    for kind in ("train", "infer"):
        works = [work for work in found["works"] if work["name"].endswith(f"-{kind}")]
        rows = [
            row | {"size": f"{row['size']}, {work['name'].partition('-')[0]}"} for work in works for row in work["rows"]
        ]
        mean = table.WANTED.get(found["threads"], (None,))[0] if kind == "train" else None
        if works:
            together = table.reached(rows, mean)
            found.setdefault("all", together)
            print(f"\n{table.summary(works, together)}", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n")
    if options.plot and found["works"]:
        bars.draw(found["works"], found["machine"], options.plot, options.dark)
        print(f"\nPlot in {options.plot}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
