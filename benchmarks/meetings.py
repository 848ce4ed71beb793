"""How long threads take to meet: what every step costs them where they share columns or units, rows being few.

Run: ``python -P benchmarks/meetings.py [THREADS]``. Prints nanoseconds, the median of 15 passes of 20,000 meetings and
the extremes. Runs on two virtual processors of a Zen 4: 77 to 106, at times 287 to 320, seldom 27.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent))

from contest.choices import whole

MEETINGS = 20_000


def nanoseconds(threads: int, meetings: int = MEETINGS) -> float:
    """Of one meeting."""
    from pylstm.engine.team import meet_repeatedly

    start = perf_counter()
    meet_repeatedly(threads, meetings)
    return (perf_counter() - start) / meetings * 1e9


def main(arguments: list[str] | None = None) -> None:
    """Print the median and the extremes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("threads", metavar="THREADS", nargs="?", type=whole(2, 64), default=2)
    threads = parser.parse_args(arguments).threads
    nanoseconds(threads)
    found = sorted(nanoseconds(threads) for _ in range(15))
    print(f"{threads} threads meet in {median(found):.0f} ns ({found[0]:.0f} to {found[-1]:.0f})")


if __name__ == "__main__":
    main()
