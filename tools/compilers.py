"""A layer built with each compiler that is installed: what its tiles spill, whether its bits agree, how long it takes.

Run: ``python tools/compilers.py [--compilers "gcc,clang-14,zig cc"] [--sizes BxTxH,...] [--rounds 9] [--keep FOLDER]``

Each compiler builds the modules that the time loop runs in, at the level of this machine, into a copy of the installed
pylstm. Then the copies run in turn, each in a process of its own on one thread; a time is the processor time of the
median round, a ratio is that of a compiler divided by that of the first one in the same round. Works of an
LSTM and a GRU: forward, and training (forward and backward). "Spills" are stores of whole registers to the stack in the
tiles.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from contest.choices import in_words, sizes, whole

ROOT = Path(__file__).resolve().parents[1]
CANDIDATES = ("gcc", *(f"clang-{version}" for version in range(14, 23)), "clang", "zig cc -mcpu=baseline")
LEVELLED = ("pylstm/engine/tiles", "pylstm/engine/activations", "pylstm/cells/_lstm", "pylstm_gru/_gru")
OTHERS = ("pylstm/_core", *(f"pylstm/engine/{name}" for name in ("plan", "team", "memory", "packing", "dense")))
SIZES = ("32x100x256", "32x100x128", "1x100x512", "64x28x128")
"""Rows x steps x units, with as many inputs as units."""

STORE = re.compile(r"v?mov(?:[au]p[sd]|dq[au]\w*) +%([xyz]mm)\d+,[^,]*\(%r(sp|bp)[,)]")
WHOLE = {"v1": "xmm", "v3": "ymm", "v4": "zmm"}
FUNCTION = re.compile(r"^[0-9a-f]+ <(tile_|\w*__pyx_f_)?.*>:$")
"""Group 1: of the tiles, or a `cdef` function, into which they may be inlined; the others are Cython's wrappers."""


def spills(disassembly: str, level: str) -> int:
    """How many whole registers the functions of the tiles store to the stack, which %rbp is where they begin so.

    `column_sums` has 256 sums there on purpose: its few stores count in every compiler's figure.
    """
    total, ours, framed, before = 0, False, False, ""
    for line in map(str.rstrip, disassembly.splitlines()):
        if name := FUNCTION.match(line):
            ours, framed = name[1] is not None, False
        elif line.endswith("%rsp,%rbp"):
            framed = before.endswith("%rbp") and "push" in before
        elif ours and (found := STORE.search(line)) and found[1] == WHOLE[level]:
            total += found[2] == "sp" or framed
        before = line
    return total


def ratios(rounds: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Of each compiler and work: the median over the rounds of its time divided by that of the first compiler."""
    first = next(iter(rounds[0]))
    return {
        name: {work: statistics.median(each[name][work] / each[first][work] for each in rounds) for work in times}
        for name, times in rounds[0].items()
    }


def table(found: dict[str, dict[str, float]], spilled: dict[str, int], same: dict[str, bool]) -> str:
    """Markdown: a row for each work, a column for each compiler."""
    names = list(found)
    rows = [["", *names], ["---", *("---" for _ in names)]]
    rows.append(["spills of the tiles", *(str(spilled[name]) for name in names)])
    rows.append([f"bits of {names[0]}", *("yes" if same[name] else "no" for name in names)])
    rows += [[work, *(f"{found[name][work]:.2f}" for name in names)] for work in found[names[0]]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def installed(candidates: Iterable[str]) -> list[str]:
    """Those whose first word is a command."""
    return [name for name in candidates if shutil.which(shlex.split(name)[0])]


def build(compiler: str, folder: Path, level: str) -> int:
    """Into `folder`, which becomes a copy of the installed package with modules of `compiler`; returns its spills.

    Raises
    ------
    SystemExit
        A command fails: with what it printed.
    """
    import pylstm

    site = Path(pylstm.__file__).parents[1]
    for package in ("pylstm", *(path.name for path in site.glob("pylstm_*"))):
        shutil.copytree(site / package, folder / package)
    modules = [f"{name}_{level}" for name in LEVELLED] + list(OTHERS)
    work = folder / "build"
    run(compiler, ["meson", "setup", str(work), "--buildtype=release"])
    made = {path.name.split(".")[0]: path.name for path in map(Path, targets(work))}
    missing = [name for name in modules if Path(name).name not in made]
    if missing:
        raise SystemExit(f"{compiler}: does not build {', '.join(missing)}")
    run(compiler, ["ninja", "-C", str(work), *(made[Path(name).name] for name in modules)])
    for name in modules:
        file = made[Path(name).name]
        shutil.copy(work / file, folder / Path(name).parent / file)
    tiles = work / made[f"tiles_{level}"]
    return spills(run(compiler, ["objdump", "-d", "--no-show-raw-insn", str(tiles)]), level)


def run(compiler: str, command: list[str]) -> str:
    """What `command` prints; where it fails, the program ends with that."""
    environment = {**os.environ, "CC": compiler}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{compiler}: {shlex.join(command)} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def built(compiler: str, folder: Path, level: str) -> int:
    """The spills of the build in `folder`, which is made there if it is not; an interrupted one is begun anew.

    Raises
    ------
    SystemExit
        The folder has something else.
    """
    note, part = folder / "spills.json", folder.with_name(f"{folder.name}.part")
    if folder.exists() and not note.exists():
        raise SystemExit(
            f"{folder} is not a finished build, it has no {note.name}: delete it, or --keep another folder"
        )
    if not folder.exists():
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        (part / note.name).write_text(json.dumps(build(compiler, part, level)))
        part.rename(folder)
    return json.loads(note.read_text())


def targets(work: Path) -> list[str]:
    """File names of the extension modules."""
    listed = json.loads((work / "meson-info" / "intro-targets.json").read_text())
    return [each["filename"][0] for each in listed if each["type"] == "shared module"]


def in_a_process(folder: Path, sizes: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Times and digests of one copy."""
    command = [sys.executable, "-P", __file__, "--sizes", in_words(sizes), "--measure"]
    environment = {**os.environ, "PYTHONPATH": str(folder.resolve())}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the copy in {folder} cannot be measured:\n{done.stderr[-4000:]}")
    found = json.loads(done.stdout)
    if Path(found["file"]).parents[1] != folder.resolve():
        raise SystemExit(f"measured {found['file']}, not the copy in {folder}")
    return found


def measure(sizes: Sequence[Sequence[int]], repeats: int = 3) -> dict[str, Any]:
    """This process's pylstm: the least processor time of a few calls of each work, and a digest of all results."""
    import numpy as np

    import pylstm

    pylstm.set_num_threads(1)
    times, digests = {}, {}
    for B, T, H in sizes:
        size = f"{B}x{T}x{H}"
        rng = np.random.default_rng([B, T, H])
        for cell in ("lstm", "gru"):
            layer = pylstm.Recurrent(cell, H, H, dtype="float32", seed=1)
            x, dy = (rng.standard_normal((B, T, H)).astype(np.float32) for _ in range(2))

            def train(layer=layer, x=x, dy=dy):
                run = layer(x)
                return run.y, run.backward(dy)

            for name, call in (("forward", lambda layer=layer, x=x: layer(x, tape=False)), ("training", train)):
                work = f"{cell.upper()} {name} {size}"
                out = call()
                taken = []
                for _ in range(repeats):
                    start = time.process_time()
                    call()
                    taken.append(time.process_time() - start)
                times[work] = min(taken)
                arrays = [out.y] if name == "forward" else [out[0], out[1].x, *map(out[1].params.get, out[1].params)]
                digests[work] = hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()
    return {"times": times, "digests": digests, "file": pylstm.__file__}


def folder_of_builds(text: str) -> Path:
    """The argument of ``--keep``."""
    if Path(text).exists() and not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return Path(text)


def compilers_of(parser: argparse.ArgumentParser, given: str | None) -> list[str]:
    """Those that are asked for, or all that are installed; without them, or what builds with them, the program ends."""
    there = installed(CANDIDATES)
    names = there if given is None else list(dict.fromkeys(name.strip() for name in given.split(",")))
    absent = [name or "an empty name" for name in names if not name or not installed([name])]
    if absent or not names:
        what = f"{', '.join(absent)} is not installed" if absent else "no compiler is installed"
        parser.error(f"--compilers: {what}; there are {', '.join(there) or 'none'}")
    cures = {"meson": "pip install meson", "ninja": "pip install ninja", "objdump": "it is in binutils"}
    for command, cure in cures.items():
        if not shutil.which(command):
            parser.error(f"{command} is not installed: {cure}")
    return names


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compilers", help="instead of all that are installed, the first is what others compare with")
    parser.add_argument("--sizes", type=sizes("BTH", SIZES[0]), default=",".join(SIZES), help="BxTxH,...")
    parser.add_argument("--rounds", type=whole(), default=9)
    parser.add_argument(
        "--keep", type=folder_of_builds, metavar="FOLDER", help="builds here, and uses what is here already"
    )
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)  # one round of this process's pylstm
    options = parser.parse_args(arguments)
    if options.measure:
        print(json.dumps(measure(options.sizes)))
        return 0
    from pylstm.engine.levels import level

    names = compilers_of(parser, options.compilers)
    with tempfile.TemporaryDirectory() as temporary:
        parent = Path(options.keep or temporary).resolve()
        folders = {name: parent / re.sub(r"\W+", "_", name) for name in names}
        spilled = {}
        for name, folder in folders.items():
            spilled[name] = built(name, folder, level)
            print(f"{name}: built, {spilled[name]} spills", flush=True)
        rounds = [{name: in_a_process(folders[name], options.sizes) for name in names} for _ in range(options.rounds)]
    digests = {name: found["digests"] for name, found in rounds[0].items()}
    same = {name: digest == digests[names[0]] for name, digest in digests.items()}
    times = [{name: found["times"] for name, found in each.items()} for each in rounds]
    print(table(ratios(times), spilled, same))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
