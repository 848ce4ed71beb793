"""Read files with headers that were changed at random and signed anew, and count what `pylstm.load` does with them.

python tools/fuzz_files.py --count 10000 [--seed 0]: status 1 if anything but ValueError, or LookupError for a cell that
is not registered, comes out, or a file takes a second or 50 MB.
"""

import argparse
import collections
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
from file_fuzz import fuzz


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    outcomes, wrong, slowest, largest = collections.Counter(), [], 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for kind, done, outcome, seconds, peak in fuzz(Path(folder), args.count, args.seed):
            outcomes[outcome.partition(" ")[0]] += 1
            slowest, largest = max(slowest, seconds), max(largest, peak)
            if outcome.startswith("WRONG") or seconds > 1 or peak > 50e6:
                wrong.append(f"{kind} {done}: {outcome} ({seconds:.2f} s, {peak / 1e6:.1f} MB)")
    print("\n".join(wrong[:40]))
    print(f"{args.count} files: {dict(outcomes)}; slowest {slowest:.3f} s, largest {largest / 1e6:.1f} MB")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
