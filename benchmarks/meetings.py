"""How long threads take to meet: what every step costs them where they share columns or units, rows being few.

Run: ``python -P benchmarks/meetings.py [THREADS]``. Prints nanoseconds, the median of 15 passes of 20,000 meetings and
the extremes. Runs on two virtual processors of a Zen 4: 77 to 106, and at times 287 to 320.
"""

from __future__ import annotations

import sys
from statistics import median
from time import perf_counter

MEETINGS = 20_000


def nanoseconds(threads: int, meetings: int = MEETINGS) -> float:
    """Of one meeting."""
    from pylstm.engine.team import meet_repeatedly

    start = perf_counter()
    meet_repeatedly(threads, meetings)
    return (perf_counter() - start) / meetings * 1e9


def main(arguments: list[str]) -> None:
    """Print the median and the extremes."""
    threads = int(arguments[0]) if arguments else 2
    nanoseconds(threads)
    found = sorted(nanoseconds(threads) for _ in range(15))
    print(f"{threads} threads meet in {median(found):.0f} ns ({found[0]:.0f} to {found[-1]:.0f})")


if __name__ == "__main__":
    main(sys.argv[1:])
