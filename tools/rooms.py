"""What imports what in pylstm, of all kinds: imports anywhere in a file, cimports, stubs, C includes.

Run: ``python tools/rooms.py`` prints the arrows between rooms, as docs/development/architecture.md lists them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = (".py", ".pyx", ".pxd", ".pyi", ".h")
TOGETHER = {
    "ground": ("checks", "described", "files", "hint_options", "hint_texts", "hints", "kinds", "parameters", "schema"),
    "contract": ("kernel", "_math", "include"),
    "plugins": ("plugins", "hookspecs"),
    "saving": ("saving",),
    "commands": ("commands", "cli", "__main__"),
    "streams": ("engine.stream", "engine.whole"),
}
"""Rooms that are not one folder."""


def files_of(root: Path = ROOT) -> list[Path]:
    """All sources of the package but for templates."""
    found = [path for path in root.glob("pylstm/**/*") if path.suffix in SUFFIXES and "templates" not in path.parts]
    return sorted(found)


def module_of(path: Path, root: Path = ROOT) -> str:
    """Full name; of a header its path, with the suffix."""
    if path.suffix == ".h":
        return str(path.relative_to(root))
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Full names of all that is imported anywhere in `tree`, a module of `package`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parent, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def cimports(text: str) -> Iterator[str]:
    """Full names of all that is imported or cimported in Cython source."""
    for base, what in re.findall(r"^\s*from\s+([\w.]+)\s+c?import\s+(\([^)]*\)|[^\n]+)", text, re.M):
        yield from (
            f"{base}.{name.split()[0]}" for name in re.sub(r"#.*", "", what).strip("() \n").split(",") if name.strip()
        )
    yield from re.findall(r"^\s*c?import\s+([\w.]+)", text, re.M)


def includes(text: str) -> Iterator[str]:
    """Headers that C or Cython source includes."""
    yield from re.findall(r'^\s*(?:#\s*include|cdef extern from)\s+"([\w./]+)"', text, re.M)


def imported(path: Path, root: Path = ROOT) -> set[str]:
    """Full names that a source imports; headers by their path."""
    text = path.read_text()
    if path.suffix in (".py", ".pyi"):
        package = ".".join(path.parent.relative_to(root).parts)
        return set(imports(ast.parse(text), package))
    places = (root / "pylstm/include", root / "pylstm/engine/include", path.parent)
    headers = {
        str((place / name).resolve().relative_to(root))
        for name in includes(text)
        for place in places
        if (place / name).exists()
    }
    return headers if path.suffix == ".h" else headers | set(cimports(text))


def graph_of(root: Path = ROOT) -> dict[str, set[str]]:
    """Module -> modules that it imports, itself left out."""
    files = files_of(root)
    modules = {module_of(path, root) for path in files}

    def nearest(name: str) -> str:
        name = re.sub(r"_v\d$", "", name)
        while name and name not in modules:
            name = name.rpartition(".")[0]
        return name

    graph: dict[str, set[str]] = {module: set() for module in modules}
    for path in files:
        own = module_of(path, root)
        graph[own] |= {found for name in imported(path, root) if (found := nearest(name)) and found != own}
    return graph


def circles_of(graph: dict[str, set[str]]) -> list[list[str]]:
    """Sets of nodes that reach one another, by removing what has no arrow in or out until nothing changes."""
    left = {node: targets & set(graph) for node, targets in graph.items()}
    while True:
        pointed = set().union(*left.values()) if left else set()
        gone = {node for node in left if not left[node] or node not in pointed}
        if not gone:
            return [sorted(left)] if left else []
        left = {node: targets - gone for node, targets in left.items() if node not in gone}


def room_of(module: str) -> str:
    """The room in which a module is; "pylstm" for the façade."""
    inner = module.removeprefix("pylstm").lstrip("./").replace("/", ".")
    for room, members in TOGETHER.items():
        if any(inner == member or inner.startswith(f"{member}.") for member in members):
            return room
    return inner.split(".")[0] or "pylstm"


def arrows_of(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Room -> rooms that it imports."""
    arrows: dict[str, set[str]] = {}
    for module, targets in graph.items():
        room = room_of(module)
        arrows.setdefault(room, set()).update(room_of(target) for target in targets if room_of(target) != room)
    return arrows


def arrows_on(page: str) -> dict[str, set[str]]:
    """The arrows that a page lists, in a block of lines ``room -> room, room``."""
    lines = [line.split("->") for line in page.splitlines() if re.fullmatch(r"\w+ +-> .*", line)]
    return {room.strip(): {each.strip() for each in targets.split(",")} - {"nothing"} for room, targets in lines}


def main() -> None:
    """Print the arrows."""
    arrows = arrows_of(graph_of())
    width = max(map(len, arrows))
    for room in sorted(arrows):
        if room != "pylstm":
            print(f"{room:{width}} -> {', '.join(sorted(arrows[room])) or 'nothing'}")


if __name__ == "__main__":
    main()
