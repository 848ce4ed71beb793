"""Source of cell classes: declarations from attributes, functions from where they were written, or derived."""

from __future__ import annotations

import inspect
import textwrap
from typing import Any

import numpy as np

from pylstm.cells import Cell, Contract
from pylstm.cells.contracts.stages import hook_name
from pylstm.cells.formula import Derivation
from pylstm.cells.formula.emission import numpy
from pylstm.scaffold.needs import Needs, literal

DECLARED = (
    "states", "gates", "biased", "params", "aux", "keep", "stages", "widths", "sizes", "options", "output", "domain",
    "reference", "complex",
)  # fmt: skip
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
        The source of a function cannot be read; it uses something that cannot be written into a file.
    """
    needs = Needs()
    texts = [_forward(needs, cell, stage) for stage in _stages(cell)]
    return _written(needs, cell, name, texts, f"The formula of {cell.__qualname__}.")


def written_source(cell: type[Cell], name: str) -> tuple[list[str], str]:
    """The source of `formula_source`, with the backward of each stage that was not derived, as its author wrote it."""
    needs, texts = Needs(), []
    for stage in _stages(cell):
        texts.append(_forward(needs, cell, stage))
        if stage not in cell.formulas:
            backward, hook = hook_name("backward", stage), getattr(cell, hook_name("backward", stage), None)
            texts.append(needs.function(hook, backward) if hook else f"{backward} = None")
    return _written(needs, cell, name, texts, f"{cell.__qualname__}, as it was written.")


def _stages(cell: type[Cell]) -> list[str]:
    return [stage.name for stage in (cell.declared if cell.formulas else cell.contract).stages]


def _forward(needs: Needs, cell: type[Cell], stage: str) -> str:
    name = hook_name("forward", stage)
    return needs.function(cell.formulas.get(stage) or getattr(cell, name), name)


def _written(needs: Needs, cell: type[Cell], name: str, texts: list[str], doc: str | None) -> tuple[list[str], str]:
    declared = {key: getattr(cell, key) for key in DECLARED} | _values(needs, cell)
    if cell.formulas:
        declared["keep"] = cell.declared.keep
    doc = inspect.getdoc(cell) if "__doc__" in vars(cell) and cell.__doc__ else doc
    text = needs.before(_class(name, doc, declared, texts))
    return needs.imports(text), text


def twin_source(derivation: Derivation, cell: type[Cell], name: str, package: str) -> tuple[list[str], str]:
    """Import lines and class source of the declaration with the derived twin, and the kernel's place."""
    contract = derivation.contract
    declared = {key: getattr(cell, key) for key in DECLARED} | {
        "keep": contract.keep,
        "widths": _widths(cell, contract),
    }
    if contract.lags:  # the twin says itself what goes into their states
        declared |= {"states": contract.states, "gates": {k: "+".join(v) for k, v in contract.gate_sources.items()}}
    needs = Needs()
    if cell.options:  # they are numbers in what is derived
        declared["formula"] = f"{package}.formula:{class_name(name)}"
    declared |= {"kernel": f"{package}._{name}:{name}"} | _values(needs, cell)
    texts = [numpy.stage_source(stage).replace("\n\n\n", "\n\n") for stage in derivation.stages.values()]
    text = needs.before(_class(name, inspect.getdoc(cell), declared, texts))
    return needs.imports(text), text


def _values(needs: Needs, cell: type[Cell]) -> dict[str, Any]:
    """`Cell.initial_values`, `Cell.constants` and `Cell.structure`, as they are written."""
    constants = {
        name: value if callable(value) else np.asarray(value).tolist() for name, value in cell.constants.items()
    }
    structure = {
        source: each if isinstance(each, str) or callable(each) else np.asarray(each).tolist()
        for source, each in cell.structure.items()
    }
    return {
        "initial_values": needs.values(cell.initial_values),
        "constants": needs.values(constants),
        "structure": needs.values(structure),
    }


def _widths(cell: type[Cell], contract: Contract) -> dict[str, Any]:
    default = {name: "input_size" if name == "x" else 1 for name in contract.aux}
    return {key: value for key, value in contract.widths.items() if default.get(key) != value or key in cell.widths}


def _class(name: str, doc: str | None, declared: dict[str, Any], functions_: list[str]) -> str:
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
    line = head + literal(value)
    if len(line) <= width or not isinstance(value, dict | tuple):
        return [line]
    pairs = value.items() if isinstance(value, dict) else value
    items = [f"{literal(p[0])}: {literal(p[1])}" if isinstance(value, dict) else literal(p) for p in pairs]
    opening, closing = "{}" if isinstance(value, dict) else "()"
    return [head + opening, *(f"        {item}," for item in items), f"    {closing}"]


def _docstring(doc: str | None) -> str:
    doc = (doc or "").replace('"""', "'''")
    raw = "r" if "\\" in doc else ""
    return f'{raw}"""{doc}\n"""' if "\n" in doc else f'{raw}"""{doc}"""'
