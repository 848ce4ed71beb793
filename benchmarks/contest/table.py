"""Results as Markdown tables."""

from __future__ import annotations

from typing import Any

VERDICTS = {True: "yes", False: "NO", None: "not run"}


def work_table(result: dict[str, Any]) -> str:
    """Sizes down; milliseconds of each contestant, and each ratio with what it should be, across."""
    if not result["rows"]:
        return f"## {result['title']}\n\nNot run: this pylstm or this machine cannot do it."
    names = list(dict.fromkeys(name for row in result["rows"] for name in row["contestants"]))
    streams = result["rows"][0]["size"].startswith("H=")
    targets = result["targets"]
    head = ["H" if streams else "B,T,H", *(f"{name} ms" for name in names)]
    for target in targets:
        head += [target["label"], "target"]
    body = []
    for row in result["rows"]:
        line = [row["size"].removeprefix("H="), *(milliseconds(row["contestants"].get(name)) for name in names)]
        for target, ratio in zip(targets, row["ratios"]):
            line += [number(ratio), _wanted(target, "worst")]
        body.append(line)
    for what in ("mean", "worst"):
        line = ["geometric mean" if what == "mean" else "worst", *("" for _ in names)]
        for target in targets:
            line += [number(target[what]), _wanted(target, what)]
        body.append(line)
    return f"## {result['title']}\n\n{markdown(head, body)}{_notes(result['rows'])}"


def _notes(rows: list[dict[str, Any]]) -> str:
    """A paragraph for each contestant of which something is to be said: at which sizes it is what."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for name, note in row.get("notes", {}).items():
            found.setdefault(name, []).append(f"{note} at {row['size']}")
    return "".join(f"\n\n{name}: {', '.join(notes)}." for name, notes in found.items())


def summary(results: list[dict[str, Any]]) -> str:
    """One line for each target of each work."""
    head = ["work", "ratio", "geometric mean", "target", "worst", "at", "target", "met"]
    body = [
        [
            result["name"],
            target["label"],
            number(target["mean"]),
            _wanted(target, "mean"),
            number(target["worst"]),
            target["worst_size"] or "",
            _wanted(target, "worst"),
            VERDICTS[target["met"]],
        ]
        for result in results
        for target in result["targets"]
    ]
    return f"## Summary\n\n{markdown(head, body)}"


def markdown(head: list[str], body: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *body)]
    lines = [head, ["-" * width for width in widths], *body]
    return "\n".join(
        "| " + " | ".join(_place(text, width, k) for k, (text, width) in enumerate(zip(line, widths))) + " |"
        for line in lines
    )


def _place(text: str, width: int, k: int) -> str:
    return text.ljust(width) if k == 0 else text.rjust(width)


def milliseconds(times: dict[str, Any] | None) -> str:
    return _three_digits(times["median"] * 1e3) if times else ""


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value < 1 else _three_digits(value)


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:#.3g}".rstrip(".")


def _wanted(target: dict[str, Any], what: str) -> str:
    wanted = target[f"wanted_{what}"]
    return "" if wanted is None else f"{'<=' if target['at_most'] else '>='} {wanted:g}"
