"""Source of cell classes: declarations from attributes, functions from where they were written, or derived."""

from __future__ import annotations

import ast
import inspect
import math
import re
import textwrap
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pylstm.cells import Cell, Contract, functions
from pylstm.cells.contract import hook_name
from pylstm.cells.formula import Derivation
from pylstm.cells.formula.emission import numpy

DECLARED = (
    "states", "gates", "biased", "params", "aux", "keep", "stages", "widths", "sizes", "options", "output", "reference",
)  # fmt: skip
CONSTANTS = (bool, int, float, str, type(None))
DEFAULT = '''
class {class_name}(Cell):
    """h_t = h_{{t-1}} + r (a_t - h_{{t-1}}), with a rate r learned per unit: replace it by your own formula."""

    name = "{name}"
    states = ("h",)
    gates = {{"a": "x+h"}}  # a is fed by the input and by the previous h
    params = ("rate",)  # one number per unit

    def forward(z, prev, p):
        r = sigmoid(p.rate)
        return dict(h=prev.h + r * (tanh(z.a) - prev.h))
'''


def default_source(name: str) -> tuple[list[str], str]:
    """Import lines and class source of the formula that a new package starts from."""
    return ["from pylstm.cells import Cell, sigmoid, tanh"], DEFAULT.format(
        name=name, class_name=class_name(name)
    ).strip()


def class_name(name: str) -> str:
    """``slow_gru`` -> ``SlowGru``.

    Examples
    --------
    >>> class_name("slow_gru")
    'SlowGru'
    """
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def formula_source(cell: type[Cell], name: str) -> tuple[list[str], str]:
    """Import lines and class source of the formula of `cell`, under the name `name`.

    What the functions use of their module comes along: functions, numbers, and what can be imported. Numbers and
    strings of a function around them become their first line.

    Raises
    ------
    ValueError
        The source of a function is not to be had; it uses something that cannot be written into a file.
    """
    stages = [stage.name for stage in (cell.declared if cell.formulas else cell.contract).stages]
    hooks = [cell.formulas.get(stage) or getattr(cell, hook_name("forward", stage)) for stage in stages]
    needs = _Needs()
    texts = [needs.function(hook, hook_name("forward", stage)) for hook, stage in zip(hooks, stages)]
    declared = {key: getattr(cell, key) for key in DECLARED} | {"initial_values": needs.values(cell.initial_values)}
    if cell.formulas:
        declared["keep"] = cell.declared.keep
    doc = inspect.getdoc(cell) if "__doc__" in vars(cell) and cell.__doc__ else f"The formula of {cell.__qualname__}."
    text = "\n\n".join([*needs.helpers, _class(name, doc, declared, texts)])
    return needs.imports(text), text


def twin_source(derivation: Derivation, cell: type[Cell], name: str, package: str) -> tuple[list[str], str]:
    """Import lines and class source of the declaration with the derived twin, and the kernel's place."""
    contract = derivation.contract
    declared = {key: getattr(cell, key) for key in DECLARED} | {
        "keep": contract.keep,
        "widths": _widths(cell, contract),
    }
    needs = _Needs()
    if cell.options:  # they are numbers in what is derived
        declared["formula"] = f"{package}.formula:{class_name(name)}"
    declared |= {"kernel": f"{package}._{name}:{name}", "initial_values": needs.values(cell.initial_values)}
    texts = [numpy.stage_source(stage).replace("\n\n\n", "\n\n") for stage in derivation.stages.values()]
    text = "\n\n".join([*needs.helpers, _class(name, inspect.getdoc(cell), declared, texts)])
    return needs.imports(text), text


def _widths(cell: type[Cell], contract: Contract) -> dict[str, Any]:
    default = {name: "input_size" if name == "x" else 1 for name in contract.aux}
    return {key: value for key, value in contract.widths.items() if default.get(key) != value or key in cell.widths}


def _class(name: str, doc: str, declared: dict[str, Any], functions_: list[str]) -> str:
    lines = [f"class {class_name(name)}(Cell):", *textwrap.indent(_docstring(doc), "    ").splitlines(), ""]
    lines.append(f'    name = "{name}"')
    for key, value in declared.items():
        if value != getattr(Cell, key):
            value = dict(value) if isinstance(value, dict) else value
            lines += _wrapped(f"    {key} = ", value)
    for text in functions_:
        lines += ["", *textwrap.indent(text.strip(), "    ").splitlines()]
    return "\n".join(lines)


def _wrapped(head: str, value: Any, width: int = 116) -> list[str]:
    line = head + _literal(value)
    if len(line) <= width or not isinstance(value, dict | tuple):
        return [line]
    pairs = value.items() if isinstance(value, dict) else value
    items = [f"{_literal(p[0])}: {_literal(p[1])}" if isinstance(value, dict) else _literal(p) for p in pairs]
    opening, closing = "{}" if isinstance(value, dict) else "()"
    return [head + opening, *(f"        {item}," for item in items), f"    {closing}"]


def _literal(value: Any) -> str:
    """``repr`` with double quotes."""
    if isinstance(value, str):
        return '"' + repr(value + '"')[1:-2].replace('"', '\\"').replace("\\'", "'") + '"'
    if isinstance(value, tuple) and type(value) is tuple:
        return "(" + ", ".join(map(_literal, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(key)}: {_literal(each)}" for key, each in value.items()) + "}"
    if type(value).__name__ == "Stage":
        return f"Stage({_literal(value.name)}, gates={_literal(value.gates)}, emits={_literal(value.emits)})"
    return repr(value)


def _docstring(doc: str) -> str:
    raw = "r" if "\\" in doc else ""
    doc = doc.replace('"""', "'''")
    return f'{raw}"""{doc}\n"""' if "\n" in doc else f'{raw}"""{doc}"""'


class _Name:
    """What is written as a name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


class _Needs:
    """What functions use of the modules that they were written in."""

    def __init__(self) -> None:
        self.helpers: list[str] = []
        self._lines: set[str] = set()
        self._seen: set[str] = set()

    def function(self, function: Callable[..., Any], name: str) -> str:
        """Source of a function, under this name; what it uses is noted."""
        try:
            source = textwrap.dedent(inspect.getsource(function))
        except (OSError, TypeError):
            raise ValueError(
                f"the source of {function.__qualname__} is not to be had: put the class into a file, pass file.py:Class"
            ) from None
        if not source.lstrip().startswith(("def ", "@")):
            raise ValueError(f"{function.__qualname__} is no plain function: write it with def")
        for used in sorted(_globals(function.__code__)):
            if used in function.__globals__ and used not in self._seen:
                self._seen.add(used)
                self._global(used, function.__globals__[used], function)
        return re.sub(r"^def \w+", f"def {name}", _enclosed(source, function), count=1, flags=re.MULTILINE)

    def values(self, values: dict[str, Any]) -> dict[str, Any]:
        """`Cell.initial_values` as it is written: functions by their names, their sources noted."""
        for function in (value for value in values.values() if callable(value)):
            if function.__name__ not in self._seen:
                self._seen.add(function.__name__)
                self.helpers.append(self.function(function, function.__name__).strip() + "\n")
        return {name: _Name(value.__name__) if callable(value) else value for name, value in values.items()}

    def _global(self, name: str, value: Any, user: Callable[..., Any]) -> None:
        if getattr(functions, name, None) is value:
            return  # found in the text
        if isinstance(value, ModuleType):
            self._lines.add(f"import {value.__name__} as {name}" if value.__name__ != name else f"import {name}")
        elif isinstance(value, FunctionType) and value.__module__ == user.__module__:
            self.helpers.append(self.function(value, name).strip() + "\n")
        elif isinstance(value, CONSTANTS):
            self.helpers.insert(0, f"{name} = {_constant(value)}")
        elif getattr(value, "__module__", None) and getattr(value, "__name__", None):
            known = next((key for key, each in vars(functions).items() if each is value), None)
            module, original = ("pylstm.cells.functions", known) if known else (value.__module__, value.__name__)
            self._lines.add(f"from {module} import {original}" + (f" as {name}" if original != name else ""))
        else:
            raise ValueError(f"{user.__qualname__} uses {name!r}, which cannot be written into a file: use a number")

    def imports(self, text: str) -> list[str]:
        """Import lines for `text`: those noted, and what it calls of `pylstm.cells`."""
        from pylstm import cells

        called = set(re.findall(r"\b([a-z]\w*)\(", text)) & set(vars(functions))
        called = {name for name in called if callable(getattr(functions, name)) and not name.startswith("_")}
        public = {"Cell", *({"Stage"} if re.search(r"\bStage\(", text) else ()), *(called & set(cells.__all__))}
        lines = sorted(self._lines)
        lines.append(f"from pylstm.cells import {', '.join(sorted(public))}")
        rest = called - set(cells.__all__)
        return [*lines, *([f"from pylstm.cells.functions import {', '.join(sorted(rest))}"] if rest else [])]


def _enclosed(source: str, function: Callable[..., Any]) -> str:
    """`source` with what it uses of the function around it as its first line."""
    found = inspect.getclosurevars(function).nonlocals
    if not function.__code__.co_freevars:
        return source
    others = [name for name in function.__code__.co_freevars if not isinstance(found.get(name, ...), CONSTANTS)]
    if others:
        raise ValueError(
            f"{function.__qualname__} uses {', '.join(others)} of the function around it, which is no number: "
            "move the class out of it"
        )
    body = ast.parse(source).body[0].body
    first = body[1] if ast.get_docstring(ast.parse(source).body[0]) is not None and len(body) > 1 else body[0]
    lines = source.encode().splitlines(keepends=True)
    before, rest = lines[first.lineno - 1][: first.col_offset], lines[first.lineno - 1][first.col_offset :]
    constants = f"{', '.join(found)} = {', '.join(map(_constant, found.values()))}"
    between = "; " if before.strip() else "\n" + before.decode()
    lines[first.lineno - 1] = before + (constants + between).encode() + rest
    return b"".join(lines).decode()


def _constant(value: Any) -> str:
    """A number, string or None as it is written; numbers of NumPy as plain ones."""
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else f'float("{float(value)}")'
    return _literal(value)


def _globals(code: CodeType) -> set[str]:
    """Names that code, and the code inside of it, may look up outside."""
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*(_globals(each) for each in inner))
