"""A contestant's own process: `serve` in it, `Child` at the other end of its pipes.

Requests and answers are lines of JSON. Who waits reads from a pipe, which takes no time from whoever works.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

THREADS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "PYLSTM_NUM_THREADS",
)  # fmt: skip
"""Variables with a number of threads."""
OTHERS = (
    "OMP_DYNAMIC", "OMP_PROC_BIND", "OMP_PLACES", "OMP_WAIT_POLICY", "GOMP_CPU_AFFINITY", "GOMP_SPINCOUNT",
    "KMP_AFFINITY", "KMP_BLOCKTIME", "MKL_DYNAMIC", "OPENBLAS_THREAD_TIMEOUT", "XLA_FLAGS",
)  # fmt: skip
"""Further ones that change how threads work."""
ONE_THREAD_OF_XLA = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


class Failed(RuntimeError):
    """A child ended before it answered; the message has its last lines on standard error."""


def environment(threads: int | None) -> dict[str, str]:
    """As a user has it: without any variable about threads; or, where asked for, with a number of them for everyone."""
    left = {name: value for name, value in os.environ.items() if name not in (*THREADS, *OTHERS)}
    left |= {"JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "torch"}
    if threads is not None:
        left |= dict.fromkeys(THREADS, str(threads))
    return left | ({"XLA_FLAGS": ONE_THREAD_OF_XLA} if threads == 1 else {})


class Child:
    """The process of a contestant: `command` runs `serve`.

    Parameters
    ----------
    name : str
        In messages.
    command : list of str
    threads : int, optional
        See `environment`.
    """

    def __init__(self, name: str, command: list[str], threads: int | None) -> None:
        self.name, self._errors = name, tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by close)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=self._errors, text=True, env=environment(threads)
        )

    def ask(self, request: str, **more: Any) -> Any:
        """Send a request and wait for its answer."""
        self.send(request, **more)
        return self.answer()

    def send(self, request: str, **more: Any) -> None:
        assert self._process.stdin
        try:
            print(json.dumps({"request": request, **more}), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            self._fail()

    def answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        return json.loads(line) if line else self._fail()

    def _fail(self) -> Any:
        code = self._process.wait()
        self._errors.seek(0)
        lines = "".join(self._errors.readlines()[-12:])
        raise Failed(f"{self.name} ended with status {code}:\n{lines}")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._errors):
            if file:
                file.close()


def serve(library: str, kind: str, path: str) -> int:
    """Do what the parent asks for, until it closes the pipe; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from .tasks import Job

    job = Job.read(path)
    work = getattr(import_module(f".of_{library}", __package__), kind)(job)
    call = work if kind == "train" else lambda calls: [work() for _ in range(calls)][-1:]
    for line in sys.stdin:
        print(json.dumps(_answer(call, kind, **json.loads(line))), file=answers, flush=True)
    return 0


def _answer(call: Any, kind: str, request: str, steps: int = 1, path: str = "") -> Any:
    """``losses`` of the next steps, ``outputs`` into a file, seconds a step (``time``), or bytes (``memory``)."""
    if request == "losses":
        return call(steps)
    if request == "outputs":
        import numpy as np

        np.save(path, call(1)[0])
        return path
    if request == "memory":
        return peak_memory()
    return _seconds(call, steps)


def _seconds(call: Any, steps: int) -> float:
    if steps > 1:
        call(1)  # threads that were asleep, and caches with what another process has left
    gc.collect()
    start = perf_counter()
    call(steps)
    return (perf_counter() - start) / steps


def peak_memory() -> int | None:
    """Most bytes of this process that were in memory at once; None where the system does not say.

    Linux's `getrusage` starts a process with the peak of the one that started it; its own stands in ``/proc``.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        if lines:
            return 1024 * int(lines[0].split()[1])
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
