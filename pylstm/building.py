"""Compiler flags of kernels: for authors of kernels, and for meson.build, which runs this file."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["compile_args", "cython_args", "get_include"]

FLAGS = ("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden")
"""gcc and clang, besides ``-O3``. A product and a sum are fused only where the source says so (``PYLSTM_FMA`` of
``pylstm/math.h``, the tiles): which ones a compiler fuses by itself differs, and with it the bits of a layer. Never
``-ffast-math``: linking with it changes the floating-point mode of the whole process."""

TILES = ("-ffp-contract=fast",)
"""Flags of the tiles alone, after `FLAGS`: each of their sums has one product, which all compilers fuse."""

DIRECTIVES = (
    "language_level=3",
    "boundscheck=False",
    "wraparound=False",
    "cdivision=True",
    "initializedcheck=False",
    "freethreading_compatible=True",
)
"""Cython's directives: a kernel indexes raw pointers, divides as C does, and leaves the GIL of free threads off."""

AVX2 = ("-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2", "-mlzcnt", "-mmovbe")
AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512cd", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512")
LEVEL_FLAGS: dict[str, tuple[str, ...]] = {"v1": (), "v3": AVX2, "v4": (*AVX2, *AVX512)}
"""Added per instruction-set level, on x86-64 only. Feature by feature: gcc and clang know the levels as `x86-64-v3` and
`x86-64-v4`, but `zig cc` calls them otherwise and refuses these names."""


def get_include() -> str:
    """The folder of pylstm's C headers, for the compiler option ``-I``.

    Returns
    -------
    str
        The folder that has ``pylstm/cell.h``.

    Examples
    --------
    >>> (Path(get_include()) / "pylstm" / "cell.h").exists()
    True
    """
    return str(Path(__file__).resolve().parent / "include")


def cython_args() -> list[str]:
    """The arguments of ``cython`` for a kernel module: where ``pylstm.kernel`` is, and the directives of our kernels.

    Examples
    --------
    >>> cython_args()[2:4]
    ['-X', 'language_level=3']
    """
    directives = [argument for directive in DIRECTIVES for argument in ("-X", directive)]
    return ["-I", str(Path(__file__).resolve().parents[1]), *directives]


def compile_args(level: str = "v1") -> list[str]:
    """The compiler arguments of a kernel module at an instruction-set level: include folder and flags.

    Parameters
    ----------
    level : str
        ``"v1"`` (the baseline of the machine, on any CPU), ``"v3"`` (AVX2) or ``"v4"`` (AVX-512).

    Raises
    ------
    ValueError
        The level does not exist.

    Examples
    --------
    >>> compile_args("v3")[1:4]
    ['-O3', '-ffp-contract=off', '-fno-math-errno']
    >>> "-mavx2" in compile_args("v3"), "-mavx512f" in compile_args("v4")
    (True, True)
    """
    if not isinstance(level, str) or level not in LEVEL_FLAGS:
        raise ValueError(f"level must be one of {', '.join(LEVEL_FLAGS)}, got {level!r}")
    return [f"-I{get_include()}", "-O3", *FLAGS, *LEVEL_FLAGS[level]]


if __name__ == "__main__":  # python pylstm/building.py c | tiles | cython | v1 | v3 | v4: for meson.build
    print(*({"c": FLAGS, "tiles": TILES, "cython": cython_args()} | LEVEL_FLAGS)[sys.argv[1]], sep="\n")


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
