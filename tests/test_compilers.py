"""Another compiler, the same tiles: their bits, and the command that compares compilers, `tools/compilers.py`."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pylstm import building
from pylstm.engine.cpu import machine_level
from pylstm.engine.levels import LEVELS

ROOT = Path(__file__).parents[1]
HEADERS = ROOT / "pylstm" / "engine" / "include"
CLANGS = [[name] for name in (*(f"clang-{version}" for version in range(14, 31)), "clang") if shutil.which(name)]
CLANGS += [[sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]] if importlib.util.find_spec("ziglang") else []
# zig builds for this very machine, unless it is told a processor: the lowest level would have multiply-adds.
needs_clang = pytest.mark.skipif(
    not (CLANGS and shutil.which("gcc")), reason="needs the extra dev (its package ziglang), or clang, and gcc"
)

DRIVER = r"""
#include <stdio.h>
#include "tile.h"

static unsigned state = 1;
static double drawn(void)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 8) / 16777216.0 - 0.5;
}

/* Every tile of every number of columns, printed with what is around it. */
#define ALL(T)                                                                                               \
    static void all_##T(void)                                                                                \
    {                                                                                                        \
        enum { K = 37, WIDTH = 8 * TILE_BYTES / sizeof(T), STEP = WIDTH + 3 };                               \
        static T a[TILE_ROWS * K], b[WIDTH * (K + 2100)], c[TILE_ROWS * STEP], start[STEP], lines[K * 64];   \
        const ptrdiff_t lane = WIDTH / 8;                                                                    \
        for (size_t i = 0; i < sizeof a / sizeof *a; i++) a[i] = drawn();                                    \
        for (size_t i = 0; i < sizeof b / sizeof *b; i++) b[i] = drawn();                                    \
        for (int i = 0; i < STEP; i++) start[i] = drawn();                                                   \
        for (ptrdiff_t rows = 1; rows <= TILE_ROWS; rows++)                                                  \
            for (ptrdiff_t columns = 1; columns <= WIDTH; columns++)                                         \
                for (int kind = 0; kind < 4; kind++) {                                                       \
                    int most = tile_vectors(rows, 0);                                                        \
                    if (columns > 2 * lane && (columns != WIDTH || kind > 1)) continue;                      \
                    if (columns <= 2 * lane) most = columns <= lane ? 1 : 2;                                 \
                    for (size_t i = 0; i < sizeof c / sizeof *c; i++) c[i] = drawn();                        \
                    for (ptrdiff_t n = 0; n < columns; n += most * lane) {                                   \
                        const ptrdiff_t used = most <= 2 ? columns - n : most * lane;                        \
                        const T *right = b + n * K, *first = kind == 1 ? start + n : NULL;                   \
                        const ptrdiff_t wide = (most < 2 ? 1 : 2) * lane;                                    \
                        if (kind < 2)                                                                        \
                            tile_product(c + n, STEP, rows, most, used, K, a, K, right, wide, wide * K,      \
                                         first, 0);                                                          \
                        else if (kind == 2)                                                                  \
                            tile_outer(c + n, STEP, rows, most, used, K, a, rows, right, wide);              \
                        else if (most == 2 && 2 * rows >= TILE_ROWS)                                         \
                            tile_fetching(c + n, STEP, rows, used, K, a, K, right, wide, first, 0,           \
                                          (const char *)lines);                                              \
                    }                                                                                        \
                    fwrite(c, sizeof *c, sizeof c / sizeof *c, stdout);                                      \
                }                                                                                            \
        for (ptrdiff_t n = 1; n <= 2 * lane; n++) {                                                          \
            static T packed[2 * WIDTH / 8 * K];                                                              \
            tile_pack(packed, K, n, b, 2 * lane + 1);                                                        \
            fwrite(packed, sizeof *packed, sizeof packed / sizeof *packed, stdout);                          \
        }                                                                                                    \
    }
ALL(float)
ALL(double)

int main(void)
{
    all_float();
    all_double();
    return 0;
}
"""


@pytest.fixture(scope="module")
def compilers():
    path = ROOT / "tools" / "compilers.py"
    spec = importlib.util.spec_from_file_location("pylstm_compilers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def printed(compiler, level, folder):
    """All tiles as `compiler` makes them."""
    source, program = folder / "tiles.c", folder / f"{Path(compiler[0]).name}_{level}"
    source.write_text(DRIVER)
    flags = [*building.compile_args(level), *building.TILES, f"-I{HEADERS}", "-std=c11", "-Wno-unused-function"]
    subprocess.run([*compiler, *flags, str(source), "-o", str(program)], check=True)
    return subprocess.run([str(program)], check=True, capture_output=True).stdout


@needs_clang
@pytest.mark.parametrize("level", LEVELS[: LEVELS.index(machine_level()) + 1])
def test_compilers_agree_on_the_bits(tmp_path, level):
    expected = printed(["gcc"], level, tmp_path)
    assert len(set(expected)) == 256  # numbers, and of all kinds
    for compiler in (CLANGS[0], CLANGS[-1]):  # the oldest and the newest
        assert printed(compiler, level, tmp_path) == expected, compiler


def test_spills_are_whole_registers_on_the_stack_of_the_tiles(compilers):
    code = """
0000000000000010 <tile_product_float>:
   10:\tpush   %rbp
   11:\tmov    %rsp,%rbp
   14:\tvmovups %zmm1,0x40(%rsp)
   1c:\tvmovaps %zmm2,-0x40(%rbp)
   24:\tvmovups %ymm2,0x40(%rsp)
   2c:\tvmovups 0x40(%rsp),%zmm1
   34:\tvmovups %zmm1,(%rax,%rsi,1)
0000000000000090 <__pyx_fuse_0__pyx_f_6tiles_outer>:
   90:\tmov    %rsp,%rbp
   94:\tvmovapd %zmm31,0x0(%rbp,%rsi,8)
   9c:\tvmovapd %zmm31,(%rsp)
00000000000000c0 <__pyx_pw_6tiles_product>:
   c0:\tvmovups %zmm1,0x40(%rsp)
"""
    assert compilers.spills(code, "v4") == 3
    assert compilers.spills(code, "v3") == 1


def test_a_ratio_is_the_median_over_rounds_of_the_same_round(compilers):
    rounds = [{"gcc": {"LSTM": a}, "clang": {"LSTM": b}} for a, b in ((1.0, 3.0), (10.0, 11.0), (2.0, 2.4))]
    found = compilers.ratios(rounds)
    assert found["gcc"] == {"LSTM": 1.0} and found["clang"]["LSTM"] == pytest.approx(1.2)
    lines = compilers.table(found, {"gcc": 32, "clang": 10}, {"gcc": True, "clang": False}).splitlines()
    assert lines == [
        "|  | gcc | clang |",
        "| --- | --- | --- |",
        "| spills of the tiles | 32 | 10 |",
        "| bits of gcc | yes | no |",
        "| LSTM | 1.00 | 1.20 |",
    ]


def test_only_what_is_installed(compilers):
    assert compilers.installed(["python-of-no-name-14", "sh -c"]) == ["sh -c"]


def test_a_command_that_fails_says_what_it_printed(compilers):
    command = [sys.executable, "-c", "import os; print(os.environ['CC'], 'is broken'); raise SystemExit('a pity')"]
    with pytest.raises(SystemExit, match=r"(?s)^gcc -x: .* failed:\ngcc -x is broken\na pity"):
        compilers.run("gcc -x", command)
    assert compilers.run("gcc", [sys.executable, "-c", "print(3)"]) == "3\n"


def test_an_interrupted_build_is_begun_anew(compilers, monkeypatch, tmp_path):
    def interrupted(compiler, folder, level):
        (folder / "half").mkdir()
        raise KeyboardInterrupt

    def whole(compiler, folder, level):
        assert list(folder.iterdir()) == []
        return 7

    folder = tmp_path / "kept" / "gcc"
    monkeypatch.setattr(compilers, "build", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            compilers.built("gcc", folder, "v3")
    monkeypatch.setattr(compilers, "build", whole)
    assert compilers.built("gcc", folder, "v3") == 7
    monkeypatch.setattr(compilers, "build", interrupted)
    assert compilers.built("gcc", folder, "v3") == 7
    (folder / "spills.json").unlink()
    with pytest.raises(SystemExit, match=r"gcc is not a finished build, it has no spills\.json: delete it"):
        compilers.built("gcc", folder, "v3")
