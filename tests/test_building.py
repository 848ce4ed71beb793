"""What kernel authors build with is what pylstm's own kernels are built with."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pylstm
from pylstm import building

BUILD = Path(__file__).parents[1] / "meson.build"


@pytest.fixture(scope="module")
def build():
    if not BUILD.exists():
        pytest.skip("needs the source tree")
    return BUILD.read_text()


def table_of(which):
    """What `meson.build` is told: it runs the file of the source tree."""
    command = [sys.executable, "-P", BUILD.parent / "pylstm" / "building.py", which]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.usefixtures("build")
def test_meson_and_authors_get_the_same():
    for level in ("v1", "v3", "v4"):
        assert building.compile_args(level)[1:] == ["-O3", *table_of("c"), *table_of(level)]  # -O3: buildtype=release
    include, folder, *directives = table_of("cython")
    assert (include, folder) == ("-I", str(BUILD.parent)) and directives == building.cython_args()[2:]
    assert "initializedcheck=False" in directives and "-fvisibility=hidden" in table_of("c")


def test_meson_has_no_flags_of_its_own(build):
    """But for a checked build, and warnings."""
    assert "buildtype=release" in build and build.count("run_command(table, ") == 5
    assert not re.findall(r"'-f(?!sanitize|no-sanitize)[^']*'|'-[mO][^']*'|'[a-z_]+=False'|'language_level.*'", build)


def test_one_version_number(build):
    project = (BUILD.parent / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in project and not re.search(r"^version *=", project, re.MULTILINE)
    assert re.search(r"version: '(.*?)'", build)[1] == pylstm.__version__ == importlib.metadata.version("pylstm")
    assert "__version__" in dir(pylstm)
