"""NumPy twins from derived programs: source that reads like a twin written by hand, and its functions."""

from __future__ import annotations

import builtins
import itertools
import keyword
import linecache
import re
from collections.abc import Callable
from typing import Any

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.stages import hook_name
from pylstm.cells.formula.derivation import StageDerivation
from pylstm.cells.formula.emission.printer import ATOM, Printer
from pylstm.cells.formula.graph import ACROSS, LOGICAL
from pylstm.cells.formula.program import Block, Operation, Program, Store
from pylstm.cells.widths import Width, factors

_SPACES = ("d", "y", "z", "prev", "e", "p", "u", "size")
_READ = ("prev", "gates")  # blocks of which a twin may ask for shape and dtype
_CALLS = {"max": "maximum", "min": "minimum", "abs": "absolute", "surrogate": "declared", "stop": "stop_gradient"}
_LOGIC = {"and": " & ", "or": " | "}
_FORWARD = {"gates": "z", "prev": "prev", "emissions": "e", "params": "p", "aux": "u"}
_BACKWARD = _FORWARD | {"gates": "y", "keep": "y", "states": "y", "dstates": "d", "demissions": "d"}
_counter = itertools.count(1)


class NumpyPrinter(Printer):
    """Expressions of NumPy arrays of shape (B, width)."""

    def __init__(self, program: Program, functions: set[str], spaces: dict[str, str], own: tuple[str, ...]):
        used = {spaces[block.kind] for block in program.blocks} | ({"y"} if spaces is _BACKWARD else set())
        taken = {*used, *functions, *keyword.kwlist, *dir(builtins)}
        super().__init__(program, taken, keep_names=spaces is _FORWARD)
        self.spaces, self.own = spaces, own

    def load(self, operation: Operation) -> str:
        return self.block(operation.loaded)

    def block(self, block: Block) -> str:
        """A block as attribute of its namespace."""
        space = "y" if block.kind == "emissions" and block.name in self.own else self.spaces[block.kind]
        return f"{space}.{block.name}"

    def expression(self, operation: Operation) -> tuple[str, int]:
        if operation.op == "size":
            text = self.size(operation.name)
            return text, 4 if " * " in text else ATOM
        if operation.op == "power":  # binds closer than a sign, and to the right
            return " ** ".join(self.text(index, ATOM) for index in operation.args), 6
        return super().expression(operation)

    def call(self, operation: Operation) -> str:
        op, texts = operation.op, [self.text(index) for index in operation.args]
        if op in _LOGIC:
            return f"({_LOGIC[op].join(f'({self.condition(index)})' for index in operation.args)})"
        if op == "not":
            return f"~({self.condition(operation.args[0])})"
        source = self.program.operations[operation.args[0]]
        if op == "fill" and source.width == 1 and (like := self.like(operation.width)):
            return f"filled({texts[0]}, {like})"
        if op == "fill" and source.op == "const":
            return texts[0]  # it broadcasts
        if op in ("fill", *ACROSS):
            return self.across(operation, texts[0])
        return f"{_CALLS.get(op, op)}({', '.join(texts)})"

    def across(self, operation: Operation, text: str) -> str:
        """The call of a function of `pylstm.cells.row_functions`."""
        op, width, groups = operation.op, self.size(operation.width), self.size(operation.groups)
        several = [] if operation.groups == 1 else [groups]
        if op in ("fill", "tile", "fold"):
            return f"{'repeat' if op == 'fill' else op}({', '.join([text, width, *(several if op != 'fill' else [])])})"
        if op == "rcumsum":
            return f"cumsum({', '.join([text, *several, 'reverse=True'])})"
        return f"{op}({', '.join([text, *several])})"

    @staticmethod
    def size(width: Width) -> str:
        """A width as an expression."""
        number, names = factors(width)
        own = [str(number)] if number > 1 or not names else []
        return " * ".join([*own, *(f"size.{name}" for name in names.elements())])

    def condition(self, index: int) -> str:
        """Conditions stay arrays of bool until they are stored."""
        is_load = self.program.operations[index].op == "load"
        return f"{self.text(index, 3)} != 0" if is_load else self.text(index)

    def result(self, store: Store) -> str:
        """What goes into the dict: conditions as numbers."""
        operation, text = self.program.operations[store.source], self.text(store.source)
        return f"filled({text}, {self.like(operation.width)})" if operation.op in LOGICAL else text

    def like(self, width: Width) -> str:
        """An array of the given width, or nothing where none is at hand."""
        for block, other in self.program.widths.items():
            if other == width and block.kind in _READ:
                return self.block(block)
        return ""


def _vocabulary() -> dict[str, Any]:
    """What a twin may call."""
    from pylstm.cells import functions, row_functions

    return {**vars(functions), **vars(row_functions)}


def _function(name: str, program: Program, spaces: dict[str, str], own: tuple[str, ...]) -> list[str]:
    printer = NumpyPrinter(program, set(_vocabulary()), spaces, own)
    lines = [f"{printer.names[operation.index]} = {text}" for operation, text in printer.statements()]
    pairs = [f"{store.block.name}={printer.result(store)}" for store in program.stores]
    lines += _wrapped("return dict(", pairs)
    used = [
        space
        for space in _SPACES
        if space in (*spaces.values(), "size") and re.search(rf"(?<![\w.]){space}\.\w", " ".join(lines))
    ]
    return [f"def {name}({', '.join(used)}):", *("    " + line for line in lines)]


def _wrapped(head: str, pairs: list[str], width: int = 100) -> list[str]:
    line = head + ", ".join(pairs) + ")"
    if len(line) <= width:
        return [line]
    lines, current = [head], "    "
    for pair in pairs:
        if len(current) + len(pair) > width:
            lines.append(current.rstrip())
            current = "    "
        current += pair + ", "
    return [*lines, current.rstrip(), ")"]


def stage_source(stage: StageDerivation) -> str:
    """Source of the twin functions of one stage."""
    gates = set(stage.stage.gates)
    forward, backward = (_visible(program, gates) for program in (stage.declared, stage.backward))
    own = stage.stage.emits
    lines = _function(hook_name("forward", stage.stage.name), forward, _FORWARD, ())
    lines += ["", "", *_function(hook_name("backward", stage.stage.name), backward, _BACKWARD, own)]
    return "\n".join(lines) + "\n"


def _visible(program: Program, gates: set[str]) -> Program:
    widths = {block: width for block, width in program.widths.items() if block.kind != "gates" or block.name in gates}
    return Program(program.operations, program.stores, widths)


def compile_twin(contract: Contract, stage: StageDerivation) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The twin functions forward and backward of one derived stage."""
    source = stage_source(stage)
    file = f"<pylstm formula {contract.name} {next(_counter)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    space = _vocabulary()
    exec(compile(source, file, "exec"), space)
    return tuple(space[hook_name(way, stage.stage.name)] for way in ("forward", "backward"))
