"""Cython kernels from derived programs, in the style of `pylstm/cells/_lstm.pyx`.

``python tools/emit_kernels.py`` writes the kernels of `plugins/` with it.
"""

from __future__ import annotations

import keyword
import re

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.options import call_text
from pylstm.cells.contracts.stages import hook_name
from pylstm.cells.formula.derivation import Derivation
from pylstm.cells.formula.emission.rows import RowFunction, RowPrinter, place, size_texts, wrap
from pylstm.cells.formula.graph import ACROSS, FROM_OUTPUT, FUNCTIONS
from pylstm.cells.formula.program import Block, Program
from pylstm.cells.widths import Width

_C_WORDS = """auto break case char const continue default do double else enum extern float for goto if inline int long
register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while"""
_CYTHON_WORDS = "cdef cpdef cimport ctypedef include by gil nogil NULL DEF IF ELIF ELSE k"
WORDS = {*_C_WORDS.split(), *_CYTHON_WORDS.split(), *keyword.kwlist}
_HELPERS = {
    "select": ("bint condition, floating a, floating b", "a if condition else b"),
    "maximum": ("floating a, floating b", "a if a > b or a != a else b"),
    "minimum": ("floating a, floating b", "a if a < b or a != a else b"),
    "absolute": ("floating x", "-x if x < <floating> 0 else x"),
    "dabs_from_x": ("floating x", "<floating> 1 if x > <floating> 0 else <floating> -1 if x < <floating> 0 else x"),
}
_CALLS = {"max": "maximum", "min": "minimum", "abs": "absolute", "where": "select"}
_MATH = (*FUNCTIONS, "relu", *FROM_OUTPUT)
_OWN = ("float32", "float64", "forward", "backward", "floating")


class CythonPrinter(RowPrinter):
    """Elements of fused type `floating`."""

    negation = "(not ({}))"
    reserved = (
        *WORDS,
        *_HELPERS,
        *_MATH,
        *ACROSS,
        "repeat",
        "scratch",
        "float32",
        "float64",
        "forward",
        "backward",
        "floating",
    )

    def const(self, value: float) -> tuple[str, int]:
        return f"<floating> {super().const(value)[0]}", 5  # a bare 1 is a double in the C that Cython writes

    def call_of(self, op: str, texts: list[str]) -> str:
        return f"{_CALLS.get(op, op)}({', '.join(texts)})"

    def number(self, size: str) -> str:
        return f"<floating> {size}"

    def loop(self, width: Width, lines: list[str]) -> list[str]:
        return [f"for k in range({self.size(width)}):", *("    " + line for line in lines)]

    def row_call(self, function: str, result: str, operand: str, widths: tuple[str, str, str]) -> str:
        return f"{function}({result}, {operand}, {', '.join(widths)})"


def kernel_source(derivation: Derivation, twin: str = "") -> str:
    """Source of a ``.pyx`` with the compiled hooks of a cell, as capsule of the cell's name.

    Parameters
    ----------
    derivation : Derivation
        Of a cell all of whose stages are formulas.
    twin : str
        Where the equations stand, for the first line.

    Raises
    ------
    ValueError
        A stage is not derived.
    """
    name, options = derivation.contract.name, derivation.contract.options
    where = (f" with {call_text(options)}" if options else "") + (f": see {twin}" if twin else "")
    return module_source([derivation], f"Compiled kernel of `{name}`{where}.", "pylstm derive --format cython")


def module_source(derivations: list[Derivation], summary: str, command: str) -> str:
    """Source of a ``.pyx`` with the compiled hooks of several cells, each as capsule of its name.

    Parameters
    ----------
    derivations : list of Derivation
        Of cells all of whose stages are formulas. Where there are several, the functions have their cells' names.
    summary, command : str
        The first line, and what emits the file, for the second.

    Raises
    ------
    ValueError
        A stage is not derived.
    """
    body: list[str] = []
    for derivation in derivations:
        own = f"{derivation.contract.name}_" if len(derivations) > 1 else ""
        body += _cell(derivation, own)
    text = "\n".join(body)
    return "\n".join([f'"""{summary}', "", f"Emitted by ``{command}``.", '"""', *_imports(text), text]) + "\n"


def _cell(derivation: Derivation, own: str) -> list[str]:
    """Row functions, hooks and capsule of one cell; `own` stands before its names."""
    contract = derivation.contract
    programs: dict[str, Program] = {}
    for stage in contract.stages:
        if stage.name not in derivation.stages:
            raise ValueError(f"cell {contract.name!r}: stage {stage.name!r} is written by hand, not a formula")
        derived = derivation.stages[stage.name]
        for way in ("forward", "backward"):
            programs[own + hook_name(way, stage.name)] = getattr(derived, way)
    lines: list[str] = []
    printers = {name: CythonPrinter(program, contract) for name, program in programs.items()}
    functions = {name: printer.print() for name, printer in printers.items()}
    for name, function in functions.items():
        lines += ["", "", *_row_function(name, function)]
    for name, function in functions.items():
        lines += ["", "", *_hook(name, printers[name], function, contract)]
    return [*lines, "", "", *_publish(contract, own)]


def _imports(body: str) -> list[str]:
    called = set(re.findall(r"\b([a-z_0-9]+)\(", body))
    math = sorted(called & set(_MATH))
    lines = [f"from pylstm._math cimport {', '.join(math)}"] if math else []
    across = sorted(called & {*ACROSS, "repeat"})
    if across:
        lines = ["from libc.stdlib cimport free, malloc", *lines, f"from pylstm._rows cimport {', '.join(across)}"]
    lines.append("from pylstm.kernel cimport cell_t, floating, hook_t, publish, row, row_void, rows_t, stage_t")
    for helper, (arguments, value) in _HELPERS.items():
        if helper in called:
            lines += ["", "", f"cdef inline floating {helper}({arguments}) noexcept nogil:", f"    return {value}"]
    return lines


def _row_function(name: str, function: RowFunction) -> list[str]:
    sizes = [f"Py_ssize_t {size}" for size in function.sizes.values()]
    pointers = [
        f"{'const ' if block in function.read_only else ''}floating *restrict {function.pointers[block]}"
        for block in function.blocks
    ]
    pointers += ["floating *restrict scratch"] * bool(function.arrays)
    lines = wrap(sizes + pointers, f"cdef row_void {name}_row(", ") noexcept nogil:", " " * 8)
    if any(loop.width != 1 for loop in function.loops):
        lines.append("    cdef Py_ssize_t k")
    start = "scratch"
    for array, width in function.arrays.items():
        lines.append(f"    cdef floating *{array} = {start}")
        start = f"{array} + {function.sizes.get(width, width)}"
    if function.locals:
        lines.append(f"    cdef floating {', '.join(function.locals)}")
    if function.sums:
        lines.append(f"    cdef floating {', '.join(f'{name} = 0' for name in function.sums)}")
    for loop in function.loops:
        if loop.width == 1:
            lines += ["    " + line for line in loop.lines]
        else:
            lines.append(f"    for k in range({function.sizes.get(loop.width, loop.width)}):")
            lines += ["        " + line for line in loop.lines]
    return lines


def position(block: Block, contract: Contract) -> str:
    """``gates[0]``: where a block stands in the C contract."""
    return f"{block.kind}[{place(block, contract)[1]}]"


def _hook(name: str, printer: CythonPrinter, function: RowFunction, contract: Contract) -> list[str]:
    arrays = function.arrays
    sizes = size_texts(printer, contract, ".")
    rows = [f"row(&r.{position(block, contract)}, b, dtype)" for block in printer.blocks]
    lines = [
        f"cdef void {name}(const rows_t *r, floating *dtype) noexcept nogil:",
        "    cdef Py_ssize_t b",
    ]
    if arrays:
        lines += [f"    cdef Py_ssize_t {own} = {text}" for own, text in zip(printer.sizes.values(), sizes)]
        sizes = list(printer.sizes.values())
        terms = [printer.size(width) for width in arrays.values()]
        lines += wrap(terms, "    cdef Py_ssize_t total = (", ")", " " * 8, between=" + ")
        lines.append("    cdef floating *scratch = <floating *> malloc(total * sizeof(floating))")
    return [
        *lines,
        "    for b in range(r.rows):",
        *wrap(sizes + rows + ["scratch"] * bool(arrays), f"        {name}_row(", ")", " " * 12),
        *["    free(scratch)"] * bool(arrays),
    ]


def _publish(contract: Contract, own: str) -> list[str]:
    count, cell = len(contract.stages), f"{own}cell"
    stage = "" if count == 1 else f"[{count}]"
    lines = [f"cdef stage_t{stage} {own}float32", f"cdef stage_t{stage} {own}float64", f"cdef cell_t {cell}"]
    for k, each in enumerate(contract.stages):
        index = "" if count == 1 else f"[{k}]"
        for dtype, real in (("float32", "float"), ("float64", "double")):
            lines += [
                f"{own}{dtype}{index}.{way} = <hook_t> {own}{hook_name(way, each.name)}[{real}]"
                for way in ("forward", "backward")
            ]
    lines += [f'{cell}.name = "{contract.name}"', f"{cell}.stages = {count}"]
    lines += [f"{cell}.{kind} = {len(names)}" for kind, names in contract.blocks.items() if names]
    address = "&" if count == 1 else ""
    lines.append(f"{cell}.float32, {cell}.float64 = {address}{own}float32, {address}{own}float64")
    return [*lines, "", f"{contract.name} = publish(&{cell})"]
