"""Nets as C, compiled: what the tests of `pylstm.export` share."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm import export
from pylstm.engine.levels import level
from pylstm.plugins import registry

STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
CELLS = registry().names()
STEPS = 60


def need(program: str) -> str:
    """The path of a program; a test is skipped without it, but fails in CI on Linux, which installs it."""
    found = shutil.which(program)
    if found is None and os.environ.get("PYLSTM_NO_SKIPS") in ("1", "once") and sys.platform == "linux":
        pytest.fail(f"{program} is not installed: .ci/run should have done that")
    if found is None:
        pytest.skip(f"this machine has no {program}")
    return found


def compiler(name: str) -> list[str]:
    """The command of a compiler; ``"zig TARGET"`` for another machine."""
    if not name.startswith("zig"):
        return [need(name)]
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed")
    return [sys.executable, "-P", "-m", "ziglang", "cc", *(["-target", name.split()[1]] if " " in name else [])]


def run(command: list, **options) -> subprocess.CompletedProcess:
    """The command, which must end well and say nothing."""
    done = subprocess.run(list(map(str, command)), capture_output=True, timeout=300, **options)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done


def layers(dtype: str) -> dict[str, pylstm.Recurrent]:
    """All bundled cells, with weights that saturate some gates and not others."""
    found = {}
    for name in CELLS:
        sizes = {"proj_size": 4} if name.startswith("lstmp") else {}
        inputs = 5 if name in ("sru", "intersection_rnn") else 3
        layer = pylstm.Recurrent(name, inputs, 5, dtype=dtype, seed=1, certified=False, **sizes)
        fixed = {each: layer.params[each].copy() for each in layer.params.constants}
        layer.params.flat[...] = np.random.default_rng(5).standard_normal(layer.params.size) * 0.6
        for each, values in fixed.items():
            layer.params[each][...] = values
        found[name] = layer
    return found


def inputs(layer, steps: int = STEPS, scale: float = 1.0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """x (steps, I) and the per-step inputs of the cell."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((steps, layer.input_size)) * scale).astype(layer.dtype)
    names = [name for name in layer.cell.contract.aux if name != "x"]
    return x, {name: (rng.random((steps, layer.widths[name])) + 0.1).astype(layer.dtype) for name in names}


def joined(x: np.ndarray, aux: dict[str, np.ndarray]) -> np.ndarray:
    """What the C functions take."""
    return np.ascontiguousarray(np.concatenate([x, *aux.values()], axis=1))


def expected(layer, steps: int = STEPS, scale: float = 1.0) -> np.ndarray:
    """The outputs of `stream.step`."""
    stream, (x, aux) = layer.stream(), inputs(layer, steps, scale)
    one = [{name: array[t] for name, array in aux.items()} or None for t in range(steps)]
    return np.array([stream.step(x[t], aux=one[t]) for t in range(steps)])


def write_all(nets: dict[str, object], folder: Path, form: str = "c", **options) -> Path:
    """One C file with all nets."""
    for name, net in nets.items():
        getattr(export, form)(net, folder / f"{name}.{form[0]}", name=name, **options)
    source = folder / "all.c"
    lines = [f'#include "{name}.{form[0]}"\n' for name in nets]
    if form == "header":  # whose functions are static
        for name in nets:
            lines.append(
                f"int {name}_init_(void *n);\nint {name}_init_(void *n) {{ return {name}_init(({name}_t *)n); }}\n"
            )
            call = f"{name}_run_(void *n, const void *x, size_t t, void *y)"
            lines.append(f"int {call};\nint {call} {{ return {name}_run(({name}_t *)n, x, t, y); }}\n")
    source.write_text("".join(lines))
    return source


class Built:
    """A library of nets, called by `ctypes`."""

    def __init__(self, source: Path, command: list[str], *flags: str) -> None:
        path = source.with_suffix(f".{len(list(source.parent.glob('*.so')))}.so")
        run([*command, *STRICT, *flags, "-shared", "-fPIC", source, "-o", path, "-lm"])
        self.library, self.memory = ctypes.CDLL(str(path)), np.full(1 << 16, 255, np.uint8)
        self.end = "_" if hasattr(self.library, "lstm_init_") or hasattr(self.library, "net_init_") else ""

    def start(self, name: str = "net", *arguments) -> int:
        """Memory that holds anything, initialised."""
        self.memory[...] = 255
        return getattr(self.library, f"{name}_init{self.end}")(at(self.memory), *arguments)

    def feed(self, x: np.ndarray, y: np.ndarray, name: str = "net") -> np.ndarray:
        """`y`, from where the net is."""
        self.status = getattr(self.library, f"{name}_run{self.end}")(
            at(self.memory), at(x), ctypes.c_size_t(len(x)), at(y)
        )
        return y

    def outputs(self, layer, name: str = "net", steps: int = STEPS, scale: float = 1.0) -> np.ndarray:
        """Of a layer, from the beginning."""
        assert self.start(name) == 0
        x = joined(*inputs(layer, steps, scale))
        return self.feed(x, np.empty((steps, layer.output_size), layer.dtype), name)


def at(array: np.ndarray) -> ctypes.c_void_p:
    """The address of an array."""
    return array.ctypes.data_as(ctypes.c_void_p)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether all bits are the same; which NaN it is does not count."""
    return (
        a.shape == b.shape
        and a.dtype == b.dtype
        and bool(((a == b) & (np.signbit(a) == np.signbit(b)) | (a != a) & (b != b)).all())
    )


@pytest.fixture(scope="session")
def kit():
    """The functions of this file, which tests cannot import."""
    return sys.modules[__name__]


@pytest.fixture(scope="session")
def fused():
    """The bits are those of fused products."""
    if level == "v1":
        pytest.skip("this machine has no fused multiply-add in use")


@pytest.fixture(scope="session")
def unfused(tmp_path_factory):
    """dtype -> cell -> outputs at the level v1, which fuses nothing."""
    path = tmp_path_factory.mktemp("v1") / "outputs.npz"
    code = (
        "import importlib.util, sys, numpy as np\n"
        "spec = importlib.util.spec_from_file_location('kit', sys.argv[1])\n"
        "kit = importlib.util.module_from_spec(spec)\nsys.modules['kit'] = kit\nspec.loader.exec_module(kit)\n"
        "np.savez(sys.argv[2], **{f'{d}.{n}': kit.expected(l)"
        " for d in ('float32', 'float64') for n, l in kit.layers(d).items()})\n"
    )
    run([sys.executable, "-P", "-c", code, __file__, path], env={**os.environ, "PYLSTM_CPU": "v1"})
    with np.load(path) as found:
        return {d: {name: found[f"{d}.{name}"] for name in CELLS} for d in ("float32", "float64")}
