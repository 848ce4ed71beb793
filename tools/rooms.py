"""What imports what in pylstm, of all kinds: imports anywhere in a file, cimports, stubs, C includes.

Run: ``python tools/rooms.py`` prints the arrows between rooms, as docs/development/architecture.md lists them.
"""

from __future__ import annotations

import ast
import functools
import keyword
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SUFFIXES = (".py", ".pyx", ".pxd", ".pyi", ".pxi", ".h", ".c")
C_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([\w./-]+)[>"]', re.M)
CYTHON_WORD = re.compile(
    r"""(?P<gap>[ \t\r\f]+|\\\n|\#[^\n]*)
    | (?P<string>[bcfru]{0,2}(?P<quote>\'\'\'|\"\"\"|'|")(?:\\.|(?!(?P=quote)).)*(?P=quote))
    | \w+ | .""",
    re.S | re.X | re.I,
)
CYTHON_CALL = re.compile(
    r"""(?<![\w.] )\b([^\W\d]\w*(?: \. \w+)*) \( (?:name = )?('[\w.]*'(?= [,)])|"[\w.]*"(?= [,)])|[^\s)])"""
)
"""A call of Cython source and its first argument, a plain text or something else; words stand one space apart."""
FETCHED = re.compile(r"""\bgetattr \( [\w. ]+ , (['"])(import_module|__import__)\1 \)""")
TOGETHER = {
    "ground": (
        "arrays",
        "checks",
        "described",
        "files",
        "held",
        "hint_calls",
        "hint_kinds",
        "hint_options",
        "hint_texts",
        "hints",
        "kinds",
        "markup",
        "parameter_lists",
        "parameters",
        "schema",
        "rehearsal",
        "summaries",
        "wording",
    ),
    "contract": ("kernel", "_math", "_rows", "include"),
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
    """Full name; of what is only included its path, with the suffix."""
    if path.suffix in (".h", ".c", ".pxi"):
        return str(path.relative_to(root))
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def absolute(name: str, level: int, package: str) -> str:
    """Full name of what a module of `package` calls `name` after `level` dots."""
    parent = package.split(".")[: package.count(".") + 2 - level] if level else []
    return ".".join([*parent, *([name] if name else [])])


@functools.lru_cache(maxsize=2)
def nodes(tree: ast.AST) -> list[ast.AST]:
    """All of a tree, walked once for all who ask in turn."""
    return list(ast.walk(tree))


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Full names of all that is imported anywhere in `tree`, a module of `package`."""
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{absolute(node.module or '', node.level, package)}.{alias.name}" for alias in node.names)
    for name in map(literal, calls_by_name(tree)):
        yield from [absolute(name.lstrip("."), len(name) - len(name.lstrip(".")), package)] if name else ()


def importers(tree: ast.AST) -> set[str]:
    """The names that `tree` has for `import_module` and `__import__`, whatever they were bound to."""
    names = {"import_module", "__import__"}
    pairs = [(each.name, each.asname) for node in nodes(tree) for each in getattr(node, "names", ()) if is_alias(each)]
    names |= {other for name, other in pairs if name in names and other}
    names |= {ast.unparse(node).rpartition(".")[2] for node in nodes(tree) if fetched(node) in names}
    bound = [
        (ast.unparse(node.value), target.id)
        for node in nodes(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    ]
    for _ in bound:  # a name of a name
        names |= {name for value, name in bound if value.rpartition(".")[2] in names}
    return names


def fetched(node: ast.AST) -> str:
    """``import_module`` of ``getattr(importlib, "import_module")``; empty of anything else."""
    named = isinstance(node, ast.Call) and last(node.func) == "getattr" and len(node.args) > 1
    text = node.args[1] if named else None
    return str(text.value) if isinstance(text, ast.Constant) else ""


def is_alias(node: Any) -> bool:
    """Whether `node` is a name of an import statement (`global x` has plain names)."""
    return isinstance(node, ast.alias)


def calls_by_name(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls that import a module by a name that is a value."""
    names = importers(tree)
    for node in nodes(tree):
        if isinstance(node, ast.Call) and last(node.func) in names:
            yield node


def literal(call: ast.Call) -> str:
    """The name that such a call imports; empty where it is computed, or missing."""
    given = [*call.args[:1], *(each.value for each in call.keywords if each.arg == "name")]
    return "".join(str(each.value) for each in given if isinstance(each, ast.Constant))


def computed(tree: ast.AST) -> list[str]:
    """The imports of `tree` whose name is computed, and importers that are handed on, as they are written."""
    calls, names = list(calls_by_name(tree)), importers(tree)
    found = [ast.unparse(call) for call in calls if not literal(call) and (call.args or call.keywords)]
    for node in nodes(tree):  # `map(import_module, names)`
        given = [*node.args, *(each.value for each in node.keywords)] if isinstance(node, ast.Call) else []
        if any(isinstance(each, ast.Name | ast.Attribute) and last(each) in names for each in given):
            found.append(ast.unparse(node))
    return found


def last(node: ast.AST) -> str:
    """``import_module`` of ``importlib.import_module``."""
    return ast.unparse(node).rpartition(".")[2]


def reached(tree: ast.AST, package: str) -> Iterator[str]:
    """What `imports` finds, and full names of the attributes that `tree` takes of it: ``p.optim`` of ``p = pylstm``."""
    yield from imports(tree, package)
    full = {}
    for node in nodes(tree):
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            own = alias.name if alias.asname or isinstance(node, ast.ImportFrom) else alias.name.partition(".")[0]
            base = f"{absolute(node.module or '', node.level, package)}." if isinstance(node, ast.ImportFrom) else ""
            full[alias.asname or own] = base + own
    for node in nodes(tree):
        first, dot, rest = ast.unparse(node).partition(".") if isinstance(node, ast.Attribute) else ("", "", "")
        if first in full:
            yield full[first] + dot + re.match(r"[\w.]*", rest)[0]


def statements(text: str) -> Iterator[list[str]]:
    """The words of each simple statement of Cython source, without comments: what stands between line ends, ; and :."""
    words: list[str] = []
    depth = 0
    for found in CYTHON_WORD.finditer(text):
        depth += (found[0] in "([{") - (found[0] in ")]}")
        if found[0] in "\n;:" and depth == 0:
            yield words
            words = []
        elif not found["gap"] and found[0] != "\n":
            words.append(found[0])
    yield words


def cython_tree(text: str) -> ast.Module:
    """A Python tree of what Cython source imports and cimports, and of the attributes that it names."""
    lines = []
    for words in statements(text):
        line = FETCHED.sub(r"\2", " ".join(words))
        if words[:1] in (["import"], ["cimport"], ["from"]):
            lines.append(re.sub(r"\bcimport\b", "import", line))
        else:
            lines += [line] if re.fullmatch(r"[^\W\d]\w* = [^\W\d]\w*(?: \. \w+)*", line) else []
            for name, given in CYTHON_CALL.findall(line):
                if not keyword.iskeyword(name.rpartition(" ")[2]):
                    lines.append(f"{name}({given if len(given) > 1 else '_'})")
            lines += re.findall(r"(?<!\. )\b[^\W\d]\w*(?: \. [^\W\d]\w*)+", line)
    return ast.parse("\n".join(lines))


def tree_of(path: Path) -> ast.Module:
    """The tree of a Python source, or `cython_tree`."""
    return (ast.parse if path.suffix in (".py", ".pyi") else cython_tree)(path.read_text())


def includes(text: str, cython: bool) -> Iterator[tuple[str, bool]]:
    """What C or Cython source includes, and whether it is looked for beside the source too."""
    if not cython:
        yield from ((name, quote == '"') for quote, name in C_INCLUDE.findall(text))
        return
    for words in statements(text):
        if words[:1] == ["include"] or words[:3] == ["cdef", "extern", "from"]:
            yield words[1 if words[0] == "include" else 3].strip("'\""), True
        for word in words:  # C in a string
            yield from includes(word, cython=False)


def included(path: Path, root: Path) -> Iterator[Path]:
    """The sources of pylstm that a source includes."""
    places = [root / "pylstm/include", root / "pylstm/engine/include", root]
    for name, beside in includes(path.read_text(), cython=path.suffix not in (".h", ".c")):
        found = [place / name for place in ([path.parent] if beside else []) + places if (place / name).is_file()]
        yield from (each.resolve() for each in found[:1])


@functools.cache
def imported(path: Path, root: Path = ROOT) -> set[str]:
    """Full names that a source imports, those of what it includes among them."""
    package = ".".join(path.parent.relative_to(root).parts)
    if path.suffix in (".py", ".pyi"):
        return set(imports(tree_of(path), package))
    found = {module_of(each, root.resolve()) for each in included(path, root)}
    return found if path.suffix in (".h", ".c") else found | set(imports(tree_of(path), package))


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
