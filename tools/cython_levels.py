"""One run of Cython for a module that is compiled for several instruction-set levels: only its name differs.

meson.build runs ``python tools/cython_levels.py PACKAGE OUTPUT... -- cython ARGUMENT... SOURCE``. The first output is
what Cython writes, and the others are copies of it, in which the module has the name of the output.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main(package: str, *rest: str) -> None:
    """Write all outputs."""
    first, *others = map(Path, rest[: rest.index("--")])
    command = rest[rest.index("--") + 1 :]
    subprocess.run([*command, "--module-name", f"{package}.{first.stem}", "-o", str(first)], check=True)
    text = first.read_text(encoding="utf-8")
    for other in others:
        if len(other.stem) != len(first.stem):  # C has the lengths of names beside them
            raise ValueError(f"names of levels must have one length: {first.stem}, {other.stem}")
        other.write_text(text.replace(first.stem, other.stem), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
