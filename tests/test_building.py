"""What kernel authors build with is what pylstm's own kernels are built with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pylstm import building

BUILD = Path(__file__).parents[1] / "meson.build"


@pytest.fixture(scope="module")
def build():
    if not BUILD.exists():
        pytest.skip("needs the source tree")
    return BUILD.read_text()


def test_directives(build):
    arguments = re.search(r"^cython_args = \[(.*?)\]", build, re.DOTALL | re.MULTILINE)[1]
    assert tuple(re.findall(r"'-X', '(.*?)'", arguments)) == building.DIRECTIVES


def test_flags(build):
    given = re.search(r"get_supported_arguments\((.*?)\)", build, re.DOTALL)[1]
    ours = [flag for flag in re.findall(r"'(.*?)'", given) if not flag.startswith("-W")]  # warnings are ours alone
    assert "buildtype=release" in build and ("-O3", *ours) == building.FLAGS


def test_levels(build):
    levels = {
        name: tuple(re.findall(r"'(.*?)'", re.search(rf"^{name} = \[(.*?)\]", build, re.M)[1])) for name in ("v3", "v4")
    }
    assert {"v1": ()} | levels == building.LEVEL_FLAGS
