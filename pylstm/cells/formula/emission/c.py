"""C kernels from derived programs: one file against `pylstm/cell.h` and `pylstm/math.h`, both vendorable.

The file includes itself once per element type, so that there is one source for float32 and float64. It defines
``const pylstm_cell pylstm_cell_<name>``; compiled with ``-DPYLSTM_PYTHON_MODULE`` it is also the Python extension
module ``<name>`` with the capsule ``<name>``.
"""

from __future__ import annotations

import re

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.options import call_text
from pylstm.cells.contracts.stages import hook_name
from pylstm.cells.formula.derivation import Derivation
from pylstm.cells.formula.emission.cython import WORDS, position
from pylstm.cells.formula.emission.rows import RowFunction, RowPrinter, size_texts, wrap
from pylstm.cells.formula.graph import FROM_OUTPUT, FUNCTIONS
from pylstm.cells.widths import Width

_HELPERS = {
    "maximum": ("REAL a, REAL b", "a > b || a != a ? a : b"),
    "minimum": ("REAL a, REAL b", "a < b || a != a ? a : b"),
    "absolute": ("REAL x", "x < 0 ? -x : x"),
    "dabs_from_x": ("REAL x", "x > 0 ? 1 : x < 0 ? -1 : x"),
}
_CALLS = {"max": "maximum", "min": "minimum", "abs": "absolute"}
_MACROS = ("REAL", "MATH", "TYPED", "ROW")
_BEFORE = """#ifndef REAL
#ifdef PYLSTM_PYTHON_MODULE
#include <Python.h>
#endif
#include "pylstm/cell.h"
#include "pylstm/math.h"

#ifdef __GNUC__ /* not inlined: in a loop over rows strides and ends of all blocks would be prepared in advance */
#define ROW_VOID __attribute__((noinline)) void
#define PUBLIC __attribute__((visibility("default")))
#else
#define ROW_VOID void
#define PUBLIC
#endif
#define ROW(block, b) ((REAL *)(block).data + (b) * (block).stride)
#define REAL float
#define MATH(name) pylstm_##name##f
#define TYPED(name) name##_float32
#include __FILE__
#undef REAL
#undef MATH
#undef TYPED
#define REAL double
#define MATH(name) pylstm_##name
#define TYPED(name) name##_float64
#include __FILE__
"""
_ROWS = '#include "pylstm/rows.h"\n\n#include <stdlib.h>\n'
"""Headers in place of that of math.h, where units of a row meet."""
_MODULE = """
#ifdef PYLSTM_PYTHON_MODULE
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "NAME", NULL, -1, NULL};

PyMODINIT_FUNC PyInit_NAME(void) {
    PyObject *m = PyModule_Create(&module);
    PyObject *capsule = PyCapsule_New((void *)&pylstm_cell_NAME, PYLSTM_CELL_CAPSULE, NULL);
    if (m == NULL || capsule == NULL || PyModule_AddObject(m, "NAME", capsule) < 0) {
        Py_XDECREF(capsule);
        Py_XDECREF(m);
        return NULL;
    }
#ifdef Py_GIL_DISABLED
    PyUnstable_Module_SetGIL(m, Py_MOD_GIL_NOT_USED);
#endif
    return m;
}
#endif
"""


class CPrinter(RowPrinter):
    """Elements of type REAL."""

    negation = "!({})"
    reserved = (*WORDS, *_MACROS, "I", "scratch")  # I: the imaginary unit of <complex.h>

    def const(self, value: float) -> tuple[str, int]:
        text, level = super().const(value)
        return (text, level) if "." not in text and "e" not in text else (f"(REAL){text}", 5)

    def call_of(self, op: str, texts: list[str]) -> str:
        if op == "where":
            return f"({texts[0]} ? {texts[1]} : {texts[2]})"
        name = _CALLS.get(op, op)
        return f"{'TYPED' if name in _HELPERS else 'MATH'}({name})({', '.join(texts)})"

    def number(self, size: str) -> str:
        return f"(REAL){size}"

    def loop(self, width: Width, lines: list[str]) -> list[str]:
        return [f"for (ptrdiff_t k = 0; k < {self.size(width)}; k++) {line}" for line in lines]

    def row_call(self, function: str, result: str, operand: str, widths: tuple[str, str, str]) -> str:
        return f"MATH({function})({result}, {operand}, {', '.join(widths)})"


def kernel_source(derivation: Derivation, twin: str = "") -> str:
    """Source of a ``.c`` file with the compiled hooks of a cell, from what `cython.kernel_source` takes.

    Raises
    ------
    ValueError
        A stage is not derived.
    """
    contract = derivation.contract
    missing = [stage.name for stage in contract.stages if stage.name not in derivation.stages]
    if missing:
        raise ValueError(f"cell {contract.name!r}: stage {missing[0]!r} is written by hand, not a formula")
    programs = {
        hook_name(way, stage.name): getattr(derivation.stages[stage.name], way)
        for stage in contract.stages
        for way in ("forward", "backward")
    }
    body: list[str] = []
    for name, program in programs.items():
        printer = CPrinter(program, contract)
        function = printer.print()
        body += ["", *_row_function(name, function), "", *_hook(name, printer, function, contract)]
    text = "\n".join(body)
    where = (f" with {call_text(contract.options)}" if contract.options else "") + (f": see {twin}" if twin else "")
    head = f"/* Compiled kernel of `{contract.name}`{where}. Emitted by `pylstm derive --format c`. */\n"
    before = _BEFORE.replace('#include "pylstm/math.h"\n', _ROWS) if "scratch" in text else _BEFORE
    return head + before + _publish(contract) + "#else\n" + "\n".join(_helpers(text)) + text + "\n\n#endif\n"


def _helpers(body: str) -> list[str]:
    called = set(re.findall(r"TYPED\((\w+)\)\(", body))
    assert not set(_HELPERS) & {*FUNCTIONS, *FROM_OUTPUT}
    return [
        f"\nstatic inline REAL TYPED({name})({arguments}) {{ return {value}; }}"
        for name, (arguments, value) in _HELPERS.items()
        if name in called
    ] + [""]


def _row_function(name: str, function: RowFunction) -> list[str]:
    items = [f"ptrdiff_t {size}" for size in function.sizes.values()]
    items += [
        f"{'const ' if block in function.read_only else ''}REAL *restrict {function.pointers[block]}"
        for block in function.blocks
    ]
    items += ["REAL *restrict scratch"] * bool(function.arrays)
    lines = wrap(items, f"static ROW_VOID TYPED({name}_row)(", ") {", " " * 8)
    start = "scratch"
    for array, width in function.arrays.items():
        lines.append(f"    REAL *const {array} = {start};")
        start = f"{array} + {function.sizes.get(width, width)}"
    if function.locals:
        lines.append(f"    REAL {', '.join(function.locals)};")
    if function.sums:
        lines.append(f"    REAL {', '.join(f'{name} = 0' for name in function.sums)};")
    for loop in function.loops:
        if loop.width == 1:
            lines += [f"    {line};" for line in loop.lines]
        else:
            lines.append(f"    for (ptrdiff_t k = 0; k < {function.sizes.get(loop.width, loop.width)}; k++) {{")
            lines += [*(f"        {line};" for line in loop.lines), "    }"]
    return [*lines, "}"]


def _hook(name: str, printer: CPrinter, function: RowFunction, contract: Contract) -> list[str]:
    arrays = function.arrays
    sizes = size_texts(printer, contract, "->")
    rows = [f"ROW(r->{position(block, contract)}, b)" for block in printer.blocks]
    lines = [f"static void TYPED({name})(const pylstm_rows *r, void *user) {{", "    (void)user;"]
    if arrays:
        lines += [f"    const ptrdiff_t {own} = {text};" for own, text in zip(printer.sizes.values(), sizes)]
        sizes = list(printer.sizes.values())
        terms = [printer.size(width) for width in arrays.values()]
        lines += wrap(terms, "    const ptrdiff_t total = ", ";", " " * 8, between=" + ")
        lines.append("    REAL *scratch = (REAL *)malloc(sizeof(REAL) * (size_t)total);")
    return [
        *lines,
        "    for (ptrdiff_t b = 0; b < r->rows; b++)",
        *wrap(sizes + rows + ["scratch"] * bool(arrays), f"        TYPED({name}_row)(", ");", " " * 12),
        *["    free(scratch);"] * bool(arrays),
        "}",
    ]


def _publish(contract: Contract) -> str:
    lines = [""]
    for dtype in ("float32", "float64"):
        pairs = ", ".join(
            "{" + ", ".join(f"{hook_name(way, stage.name)}_{dtype}" for way in ("forward", "backward")) + "}"
            for stage in contract.stages
        )
        lines.append(f"static const pylstm_stage {dtype}[] = {{{pairs}}};")
    counts = ", ".join(f".{kind} = {len(names)}" for kind, names in contract.blocks.items() if names)
    lines += [
        f"PUBLIC const pylstm_cell pylstm_cell_{contract.name} = {{",
        f'    .abi = PYLSTM_CELL_ABI, .size = sizeof(pylstm_cell), .name = "{contract.name}",',
        f"    .stages = {len(contract.stages)}, {counts},",
        "    .float32 = float32, .float64 = float64};",
    ]
    return "\n".join(lines) + "\n" + _MODULE.replace("NAME", contract.name)
