"""Lines of .pyx and headers that a test run has executed, counted by gcov: see docs/development/coverage.md.

``python tools/cython_coverage.py FOLDER`` reads the counts below the build folder of ``-Db_coverage=true``, with which
Cython names its own lines to the C compiler. A file that is compiled for several instruction sets counts once: what one
of them has run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ENDINGS = (".pyx", ".pxd", ".h")


def lines_of(counts: Path) -> dict[str, dict[int, bool]]:
    """File -> line -> whether it was executed, from one ``.gcda``."""
    command = ["gcov", "--json-format", "--stdout", counts.name]
    done = subprocess.run(command, cwd=counts.parent, capture_output=True, text=True, check=True)
    found: dict[str, dict[int, bool]] = defaultdict(dict)
    for text in done.stdout.splitlines():
        for file in json.loads(text)["files"]:
            name = file["file"].lstrip("./")
            if name.endswith(ENDINGS) and name.startswith(("pylstm/", "plugins/")):
                for line in file["lines"]:
                    number = line["line_number"]
                    found[name][number] = found[name].get(number, False) or line["count"] > 0
    return found


def main(folder: str) -> None:
    """Print a table, and the share of all."""
    total: dict[str, dict[int, bool]] = defaultdict(dict)
    for counts in sorted(Path(folder).rglob("*.gcda")):
        for name, lines in lines_of(counts).items():
            for number, executed in lines.items():
                total[name][number] = total[name].get(number, False) or executed
    for name, lines in sorted(total.items()):
        missed = sorted(number for number, executed in lines.items() if not executed)
        share = 1 - len(missed) / len(lines)
        print(f"{name:45} {len(lines):5} lines, {len(missed):4} missed, {share:6.1%}", *missed[:12])
    every = [executed for lines in total.values() for executed in lines.values()]
    print(f"{len(total)} files, {len(every)} lines, {sum(every) / len(every):.1%} executed")


if __name__ == "__main__":
    main(sys.argv[1])
