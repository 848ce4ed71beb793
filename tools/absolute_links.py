"""Makes the links of README.md absolute, for a page that is not beside the files: the one of a package index.

    python tools/absolute_links.py ADDRESS REVISION    # of the repository, such as v0.1.0; changes README.md

Pages are those of that revision, pictures its raw files. docs/development/release.md says when.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def absolute(text: str, address: str, revision: str) -> str:
    """`text` whose links and pictures are below `address`; those within the page stay."""
    address = address.rstrip("/")
    pages, pictures = (f"{address}/{kind}/{revision}/" for kind in ("blob", "raw"))
    text = re.sub(r"\]\((?!#|[a-z]+:)", rf"]({pages}", text)
    return re.sub(r'\b(src|srcset)="(?![a-z]+:)', rf'\1="{pictures}', text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("revision")
    options = parser.parse_args()
    README.write_text(absolute(README.read_text(encoding="utf-8"), options.address, options.revision), encoding="utf-8")


if __name__ == "__main__":
    main()
