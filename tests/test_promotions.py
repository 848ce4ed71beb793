"""Arithmetic of float32 in the C that Cython writes."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.once
ROOT = Path(__file__).resolve().parents[1]
COMPILER = shutil.which("cc") or shutil.which("gcc")
SOURCES = sorted(path for folder in ("pylstm", "plugins") for path in ROOT.glob(f"{folder}/**/*.pyx"))


@pytest.mark.skipif(COMPILER is None, reason="this machine has no C compiler")
def test_float32_stays_float32(tmp_path):
    """A bare number, as in `1 - z[k]`, is a double in the C that Cython writes, and so is all that it meets."""
    compiling = pytest.importorskip("Cython.Compiler.Main")
    options = {"language_level": 3, "include_path": [str(ROOT)]}
    headers = [ROOT / "pylstm/include", ROOT / "pylstm/engine/include", sysconfig.get_paths()["include"]]
    flags = ["-fsyntax-only", "-Wdouble-promotion", "-Werror=double-promotion", *(f"-I{folder}" for folder in headers)]
    build = Path(os.environ.get("PYLSTM_BUILD", tmp_path))  # what .ci/run has built, of the levels one
    built = {path.name: path for path in (*build.glob("*.p/*.pyx.c"), *build.glob("*_v1.c"))}
    found = {}
    for path in SOURCES:
        source = built.get(f"{path.name}.c") or built.get(f"{path.stem}_v1.c") or tmp_path / f"{path.stem}.c"
        if not source.exists():
            compiling.compile(str(path), compiling.CompilationOptions(**options, output_file=str(source)))
        done = subprocess.run([COMPILER, *flags, str(source)], capture_output=True, text=True)
        if done.returncode:
            found[path.name] = done.stderr
    assert len(SOURCES) > 20 and not found
