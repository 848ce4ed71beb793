"""`joined`: several files of ``--json`` as one."""

from __future__ import annotations

from typing import Any

from .table import reached

Found = dict[str, Any]


def joined(several: list[Found]) -> Found:
    """Runs with different works or tasks as one.

    Raises
    ------
    ValueError
        Their machines, versions or threads differ, or a task is in two of them.
    """
    found = several[0]
    for other in several[1:]:
        found = _both(found, other)
    return found


def _both(one: Found, other: Found) -> Found:
    versions = one["machine"]["versions"] | other["machine"]["versions"]
    about = [run["machine"] | {"versions": versions | run["machine"]["versions"]} for run in (one, other)]
    for what in ("cpu", "level", "versions"):
        if about[0][what] != about[1][what]:
            raise ValueError(f"of different {what}, {about[0][what]} and {about[1][what]}")
    if one["threads"] != other["threads"]:
        raise ValueError(f"of different numbers of threads, {one['threads']} and {other['threads']}")
    works = {work["name"]: work for work in one["works"]}
    for work in other["works"]:
        works[work["name"]] = _work(works[work["name"]], work) if work["name"] in works else work
    ends = [*(one.get("ends") or []), *(other.get("ends") or [])]
    return one | {"machine": about[0], "works": [*works.values()], "ends": ends}


def _work(one: Found, other: Found) -> Found:
    rows = [*one["rows"], *other["rows"]]
    sizes = [row["size"] for row in rows]
    for size in sizes:
        if sizes.count(size) > 1:
            raise ValueError(f"both of {size} in {one['name']}")
    return one | {"rows": rows, "targets": [reached(rows, None)]}
