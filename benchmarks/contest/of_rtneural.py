"""RTNeural itself in the contest, for those who have its sources: compiled, compared and timed in the same run.

``--rtneural FOLDER`` names a clone of the RTNeural repository with its submodules; without them Eigen and xsimd are
looked for where the system has them, and in the folders of the environment variable ``CPATH``. The compiler is
``g++``, or what ``CXX`` says.

RTNeural knows its sizes when it is compiled, and computes with a backend that is chosen then. So `rtneural.cpp` is
compiled for the sizes of the run with each backend, for every instruction set up to the level that pylstm uses; what
does not compile is left out. At each size the fastest of them is the contestant, and a line below the table names it.
A call from Python feeds all steps within C++, the outputs copied out after each; it costs about 1 us, 2 ns of each of
480 steps. It approximates no function unless asked to, and has to give pylstm's outputs as any other contestant.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import tempfile
import weakref
from argparse import ArgumentTypeError
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .machine import available_cores
from .measure import Effort, in_turn
from .problem import Contestant, Problem

HERE = Path(__file__).resolve().parent
BACKENDS = {
    "xsimd": ("RTNEURAL_USE_XSIMD=1", "RTNEURAL_DEFAULT_ALIGNMENT=64"),
    "Eigen": ("RTNEURAL_USE_EIGEN=1", "RTNEURAL_DEFAULT_ALIGNMENT=32", "EIGEN_STACK_ALLOCATION_LIMIT=0"),
    "STL": ("RTNEURAL_USE_STL=1", "RTNEURAL_DEFAULT_ALIGNMENT=64"),
}
"""What each backend is compiled with. RTNeural takes no alignment above 32 for Eigen, Eigen no arrays above 128 KB."""
ARCHITECTURES = {"v1": ("x86-64",), "v3": ("x86-64-v3",), "v4": ("x86-64-v3", "x86-64-v4")}
"""Level of pylstm -> values of ``-march``. The narrower vectors are faster at the smallest sizes."""
CHOICE = Effort(seconds=0.5, least=5, most=101, sample=5e-4)
_libraries: dict[str, ctypes.CDLL] = {}


def sources(folder: str) -> Path:
    """The argument of ``--rtneural``.

    Raises
    ------
    ArgumentTypeError
        There is no such folder, it is not RTNeural's, or there is no compiler.
    """
    path = Path(folder).resolve()
    if not path.is_dir():
        raise ArgumentTypeError(f"no folder {folder}; it should be a clone of the RTNeural repository")
    if not (path / "RTNeural" / "RTNeural.h").is_file():
        raise ArgumentTypeError(f"{folder} is not a clone of the RTNeural repository: it has no RTNeural/RTNeural.h")
    if shutil.which(_compiler()[0]) is None:
        raise ArgumentTypeError(f"RTNeural has to be compiled, and there is no {_compiler()[0]}; CXX names another")
    return path


def prepare(folder: Path, units: Iterable[int]) -> str:
    """Compile all builds for `units`; says in a sentence which there are, and why others are not.

    Raises
    ------
    SystemExit
        Nothing could be compiled.
    """
    with tempfile.TemporaryDirectory() as made:
        jobs = {name: [*_command(folder, name, units), "-o", f"{made}/{k}.so"] for k, name in enumerate(_builds())}
        with ThreadPoolExecutor(available_cores()) as pool:
            errors = dict(zip(jobs, pool.map(_compile, jobs.values())))
        for name, command in jobs.items():
            if not errors[name]:
                _libraries[name] = _load(command[-1])
    reasons = dict.fromkeys(error for error in errors.values() if error)
    without = {reason: ", ".join(name for name in errors if errors[name] == reason) for reason in reasons}
    missing = "; ".join(f"not {names}: {reason}" for reason, names in without.items())
    if not _libraries:
        raise SystemExit(f"RTNeural could not be compiled: {missing}")
    return f"RTNeural is compiled here: {', '.join(_libraries)}{missing and '; '}{missing}"


def feed(problem: Problem) -> Contestant | None:
    """All steps of a chunk in one call, by the fastest build. None where no build can do it."""
    if not problem.B == problem.I == 1 or problem.dtype != "float32":
        return None
    found = {name: _contestant(name, problem) for name in _libraries}
    able = {name: contestant for name, contestant in found.items() if contestant}
    times = in_turn(able, CHOICE) if able else {}
    return able[min(times, key=lambda name: times[name]["median"])] if able else None


def weights(problem: Problem) -> list[np.ndarray]:
    """W (1, G H), U (H, G H) and b, (4H,) or (2, 3H): in RTNeural, as in Keras, i f g o of LSTM and z r n of GRU."""
    from pylstm.interop.keras import get_weights

    return [np.ascontiguousarray(array, "f4") for array in get_weights(problem.layer)]


def _contestant(name: str, problem: Problem) -> Contestant | None:
    """One build. None where it was not compiled for that size."""
    library = _libraries[name]
    net = library.rtneural_new(problem.cell == "gru", problem.H, *map(_pointer, weights(problem)))
    if not net:
        return None
    y = np.empty((problem.T, 1, problem.H), "f4")
    arguments = net, _pointer(np.ascontiguousarray(problem.x)), _pointer(y), problem.T

    def call() -> np.ndarray:
        library.rtneural_feed(*arguments)
        return y

    def results(_: np.ndarray) -> dict[str, np.ndarray]:
        library.rtneural_reset(net)
        return {"y": call().copy()}

    weakref.finalize(call, library.rtneural_delete, net)
    return Contestant(call, results, note=name)


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    """To the data of `array`, which it keeps alive."""
    return array.ctypes.data_as(ctypes.c_void_p)


def _builds() -> list[str]:
    """Names: backend and architecture. The plain loops of STL, never the fastest, only for the last one."""
    from pylstm.engine.cpu import machine_level
    from pylstm.engine.levels import level

    architectures = [*ARCHITECTURES[level], *(["native"] if level == machine_level() else [])]
    vectorised = [f"{backend} {each}" for backend in ("xsimd", "Eigen") for each in architectures]
    return [*vectorised, f"STL {architectures[-1]}"]


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CXX", "")) or ["g++"]


def _command(folder: Path, name: str, units: Iterable[int]) -> list[str]:
    """What compiles a build, without where to."""
    backend, architecture = name.split()
    defined = [*BACKENDS[backend], "NDEBUG", "RTNEURAL_NO_DEBUG=1", f"UNITS={','.join(map(str, units))}"]
    modules = [folder / "modules" / "xsimd" / "include", folder / "modules" / "Eigen"]
    include = [f"-I{path}" for path in (folder, *modules)]
    if not (modules[1] / "Eigen").is_dir() and shutil.which("pkg-config"):
        found = subprocess.run(["pkg-config", "--cflags", "eigen3"], capture_output=True, text=True)
        include += shlex.split(found.stdout)
    flags = ["-std=c++17", "-O3", "-fPIC", "-shared", f"-march={architecture}"]
    return [*_compiler(), *flags, *(f"-D{each}" for each in defined), *include, str(HERE / "rtneural.cpp")]


def _compile(command: list[str]) -> str:
    """The compiler's first error, or nothing."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if not done.returncode:
        return ""
    errors = [line.partition("error: ")[2] for line in done.stderr.splitlines() if "error: " in line]
    return errors[0] if errors else f"the compiler ended with status {done.returncode}"


def _load(path: str) -> ctypes.CDLL:
    library, pointer, integer = ctypes.CDLL(path), ctypes.c_void_p, ctypes.c_int
    library.rtneural_new.restype = pointer
    library.rtneural_new.argtypes = [integer, integer, pointer, pointer, pointer]
    library.rtneural_feed.argtypes = [pointer, pointer, pointer, integer]
    for function in (library.rtneural_delete, library.rtneural_reset, library.rtneural_feed):
        function.restype = None
    library.rtneural_delete.argtypes = library.rtneural_reset.argtypes = [pointer]
    return library
