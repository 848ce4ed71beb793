"""`functions`: the activations of `pylstm/include/pylstm/math.h`, and the functions of rows.h, as those of the C file.

The text is that of the headers which the library itself is built with, its macros replaced: one formula, the same bits.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "include" / "pylstm"
_BLOCK = re.compile(
    r"(?:^/\*(?:(?!\*/).)*\*/\n)?^(?:PYLSTM_INLINE|typedef struct)[^\n]*?(?:\}[^\n]*;?\n|\{\n.*?^\}\n)", re.S | re.M
)
_NAMED = re.compile(r"(?:PYLSTM_INLINE \w+(?:\(split\))? F\((\w+)\)\(|typedef struct .* F\((\w+)\);)")
_COPY = """
PYLSTM_INLINE void F(copy_of)(REAL *d, const REAL *a, ptrdiff_t n) {
    for (ptrdiff_t k = 0; k < n; k++)
        d[k] = a[k];
}
"""
"""A copy in the place of memcpy, which is in the C library."""
_PIECES = """
/* The sum of a row in pieces of so many units. */
PYLSTM_INLINE REAL F(sum_in)(const REAL *a, ptrdiff_t n, ptrdiff_t piece) {
    REAL sum = 0;
    for (ptrdiff_t k = 0; k < n; k += piece)
        sum += F(sum_of)(a + k, n - k < piece ? n - k : piece);
    return sum;
}
"""
"""The sum over a row, as the machine forms it."""
_LEAST = {"float": ("0x7f800000u", "0x7fc00000u"), "double": ("0x7ff0000000000000u", "0x7ff8000000000000u")}


def functions(names: set[str], real: str) -> str:
    """C source of the functions `names`, ``"tanh"``, and of those that they call, for ``float`` or ``double``.

    ``@`` stands for the prefix of the net; products that the library fuses are ``@FMA(a, b, c)``.
    """
    blocks, constants = _blocks(real), _constants(real)
    needed, todo = set[str](), set(names)
    while todo:
        name = todo.pop()
        needed.add(name)
        todo |= {each for each in re.findall(r"F\((\w+)\)", blocks[name]) if each in blocks} - needed
    text = "\n".join(block for name, block in blocks.items() if name in needed)
    for _ in range(3):  # LOG2E is C(0x...), MIN_NORMAL a number
        text = re.sub(r"\b[A-Z][A-Z0-9_]+\b", lambda m: constants.get(m[0], m[0]), text)
    suffix = "f" if real == "float" else ""
    text = re.sub(r"\bC\(([^()]+)\)", lambda m: m[1] + suffix, text)
    text = re.sub(r"\bF\((\w+)\)", r"@\1", text)
    text = re.sub(r"\bpylstm_(exp|log)_tailf?\b", r"@\1_tail", text)
    text = re.sub(r"\bPYLSTM_FMAF?\(", "@FMA(", re.sub(r"(?<!_)\bFMA\(", "@FMA(", text))
    infinity, nan = _LEAST[real]
    text = text.replace("(REAL)INFINITY", f"@from_bits({infinity})").replace("(REAL)NAN", f"@from_bits({nan})")
    uint = {"float": "uint32_t", "double": "uint64_t"}[real]
    text = re.sub(r"\bREAL\b", real, re.sub(r"\bUINT\b", uint, text))
    return text.replace("PYLSTM_INLINE", "@INLINE")


@cache
def _blocks(real: str) -> dict[str, str]:
    """Name -> text of its definition, in an order in which each comes after what it needs."""
    suffix = "f" if real == "float" else ""
    header = (FOLDER / "math.h").read_text(encoding="utf-8")
    found = {}
    for tail in ("exp_tail", "log_tail"):
        (found[tail],) = (b for b in _BLOCK.findall(header) if re.search(rf"pylstm_{tail}{suffix}\({real} ", b))
    template = (FOLDER / "math_template.h").read_text(encoding="utf-8") + _COPY + _rows_template() + _PIECES
    for block in _BLOCK.findall(template):
        block = _chosen(block, real)
        name = _NAMED.search(block)
        assert name, block
        found[name[1] or name[2]] = block
    found["sqrt"] = "PYLSTM_INLINE REAL F(sqrt)(REAL x) { return @SQRT(x); }\n"
    if real == "float":
        found["sin"], found["cos"], found["power"] = (
            re.sub(r"LIBM\((\w+)\)", r"\1f", found[name]) for name in ("sin", "cos", "power")
        )
    else:
        found["sin"], found["cos"], found["power"] = (
            re.sub(r"LIBM\((\w+)\)", r"\1", found[name]) for name in ("sin", "cos", "power")
        )
    return found


def _rows_template() -> str:
    """The functions of rows.h, written as those of math.h."""
    text = (FOLDER / "rows_template.h").read_text(encoding="utf-8").replace("static inline", "PYLSTM_INLINE")
    text = re.sub(r"\b(?:ROW|MATH)\((\w+)\)", r"F(\1)", text)
    return re.sub(r"memcpy\((.*), \(size_t\)(\w+) \* sizeof\(REAL\)\)", r"F(copy_of)(\1, \2)", text)


def _chosen(block: str, real: str) -> str:
    """`block` with the branches of this type: LN2 is for float, LN2_LOST for float with fused products."""

    def choose(match: re.Match[str]) -> str:
        name, then, other = match.groups()
        if real == "double":
            return other
        return then if name == "LN2" else f"#if @FUSED\n{then}#else\n{other}#endif\n"

    return re.sub(r"#ifdef (\w+)\n(.*?)#else\n(.*?)#endif\n", choose, block, flags=re.S)


@cache
def _constants(real: str) -> dict[str, str]:
    """Macro -> number."""
    header = (FOLDER / "math.h").read_text(encoding="utf-8")
    section = header[header.index(f"#define REAL {real}\n") :]
    section = section[: section.index('#include "pylstm/math_template.h"')]
    found = dict(re.findall(r"#define ([A-Z][A-Z0-9_]+) (-?[0-9][^\s/]*)", section))
    template = (FOLDER / "math_template.h").read_text(encoding="utf-8")
    return found | dict(re.findall(r"#define (LOG2E) (\S+)", template))
