"""pylstm beside PyTorch, ONNX Runtime, OpenVINO and JAX: the same work, in turn, in one process on one core.

    python benchmarks/peers.py [--quick] [--works NAME,...] [--plot FILE.png] [--json FILE] [--threads 1|2]
                               [--rtneural FOLDER]

Before anything is timed, outputs and gradients of all are compared. Then every size of every work is measured round
by round, each contestant once a round; a time is the median over the rounds, a ratio is the time of the fastest peer
by that of pylstm. "Training" is forward and backward with gradients of the input and all weights, dropped before each
call, without an optimiser; there are as many inputs as units unless said. Peers that are not installed are left out.
Works of two threads run in a process of their own, on two cores. A full run takes under ten minutes.

RTNeural, a C++ library that knows its sizes when it is compiled, takes part in the streams by its published times,
scaled by the peaks of the two machines. With --rtneural and a clone of its repository, submodules included, it also
takes part itself, as "RTNeural here": compiled with g++ (or CXX) within a minute or two, with each of its backends that
compiles, the fastest of them at each size, its outputs compared as those of all others.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "PYLSTM_NUM_THREADS",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    folder = str(Path(__file__).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    from contest.works import BY_NAME

    options = parse(arguments, {name: work.threads for name, work in BY_NAME.items()})
    if options.redraw:
        found = options.redraw
    else:
        works = [BY_NAME[name] for name in options.works]
        wanted = [threads for threads in (1, 2) if any(work.threads == threads for work in works)]
        if options.threads:
            wanted = [options.threads]
        if len(wanted) == 1:
            return measure(options, wanted[0])
        found = join([in_a_process(options, threads) for threads in wanted])
    return finish(found, options, tables=bool(options.redraw))


def parse(arguments: list[str] | None, works: dict[str, int]) -> argparse.Namespace:
    """`works`: names and threads."""
    from contest.choices import chosen, results, sizes, to_plot, to_write
    from contest.of_rtneural import sources

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no large sizes: a look, not a result")
    parser.add_argument("--works", help=f"of {', '.join(works)}")
    parser.add_argument("--sizes", type=sizes("BTH", "32x100x64"), help="instead of the table's: BxTxH,...")
    parser.add_argument("--threads", type=int, choices=(1, 2), help="only the works of so many threads")
    parser.add_argument("--rtneural", type=sources, metavar="FOLDER", help="RTNeural's sources, to run it, too")
    parser.add_argument("--plot", type=to_plot, metavar="FILE.png")
    parser.add_argument("--json", type=to_write, metavar="FILE")
    target = ("label", "mean", "worst", "worst_size", "wanted_mean", "wanted_worst", "at_most", "met")
    earlier = results("machine", "works", row=("size", "contestants", "ratios"), target=target)
    parser.add_argument(
        "--from", dest="redraw", type=earlier, metavar="FILE", help="an earlier --json instead of a run"
    )
    parser.add_argument("--part", action="store_true", help=argparse.SUPPRESS)  # of a run: no summary
    options = parser.parse_args(arguments)
    options.works = chosen(parser, "--works", options.works, list(works))
    if options.threads and options.threads not in map(works.get, options.works):
        there = [name for name, threads in works.items() if threads == options.threads]
        parser.error(f"--threads {options.threads}: none of these --works; there are {', '.join(there)}")
    return options


def measure(options: argparse.Namespace, threads: int) -> int:
    """Run the works of `threads` threads in this process."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    from contest import machine, measure, run, table
    from contest.problem import Size
    from contest.works import BY_NAME, LIBRARIES

    if machine.available_cores() < threads:
        print(f"Works of {threads} threads are left out: this process may only use {machine.available_cores()} core.")
        return finish({"machine": None, "works": []}, options, tables=False)
    sizes = [Size(*each) for each in options.sizes] if options.sizes else None
    works = [BY_NAME[name] for name in options.works if BY_NAME[name].threads == threads]
    if options.rtneural:
        works = join_rtneural(works, sizes, options)
    cores = machine.pin(threads)
    there = run.prepare(threads)
    found: dict[str, Any] = {"machine": machine.describe(there), "works": []}
    print(machine.sentence(found["machine"]))
    print(f"{threads} thread(s) on {f'core {cores}' if cores else 'any core'}; load {found['machine']['load']} before")
    if len(there) < len(LIBRARIES):
        print("Not installed, left out:", ", ".join(name for name in LIBRARIES if name not in there))
    start = time.perf_counter(), time.process_time()
    try:
        for result in run.run_works(works, there, sizes, options.quick):
            found["works"].append(result)
            print(f"\n{table.work_table(result)}", flush=True)
    except measure.Disagreement as error:
        print(f"\nNothing is measured where results differ. {error}", file=sys.stderr)
        return 1
    if threads == 1 and cores:
        share = (time.process_time() - start[1]) / (time.perf_counter() - start[0])
        found["machine"]["share_of_core"] = round(share, 3)
        print(f"\nThis process had {share:.0%} of its core{'' if share > 0.95 else ': other work was in its way'}.")
    return finish(found, options, tables=False)


def join_rtneural(works: list[Any], sizes: list[Any] | None, options: argparse.Namespace) -> list[Any]:
    """The works with RTNeural in those where it has something to do, compiled for their sizes."""
    from contest import of_rtneural
    from contest.works import with_rtneural

    joined = [with_rtneural(work) for work in works]
    chosen = [work.chosen(sizes, options.quick) for work, before in zip(joined, works) if work is not before]
    units = sorted({size.H for each in chosen for size in each})
    if units:
        print(of_rtneural.prepare(options.rtneural, units), flush=True)
    return joined


def in_a_process(options: argparse.Namespace, threads: int) -> dict[str, Any]:
    """Run the works of `threads` threads in another process: libraries fix their threads when they are imported."""
    from contest.choices import in_words

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.json"
        command = [sys.executable, __file__, "--part", "--threads", str(threads), "--works", ",".join(options.works)]
        command += ["--quick"] if options.quick else []
        command += ["--sizes", in_words(options.sizes)] if options.sizes else []
        command += ["--rtneural", str(options.rtneural)] if options.rtneural else []
        code = subprocess.run([*command, "--json", str(path)]).returncode
        if code:
            raise SystemExit(code)
        return json.loads(path.read_text())


def join(parts: list[dict[str, Any]]) -> dict[str, Any]:
    machine = next((part["machine"] for part in parts if part["machine"]), None)
    return {"machine": machine, "works": [work for part in parts for work in part["works"]]}


def finish(found: dict[str, Any], options: argparse.Namespace, tables: bool) -> int:
    """Summary, JSON and plot."""
    from contest import plot, table

    if tables:
        for result in found["works"]:
            print(f"{table.work_table(result)}\n")
    if not options.part:
        print(f"\n{table.summary(found['works'])}", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n")
    if options.plot and found["machine"]:
        plot.draw(found["works"], found["machine"], options.plot)
        print(f"\nPlot in {options.plot}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
