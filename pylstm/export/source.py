"""`Source`: the text of the C file, from its parts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pylstm.cells.formula.graph import ACTIVATIONS, FROM_OUTPUT
from pylstm.export.columns import columns
from pylstm.export.declarations import declarations
from pylstm.export.formula import literal
from pylstm.export.layers import blocks_of
from pylstm.export.maths import functions
from pylstm.export.parts import Parts
from pylstm.export.rows import FUNCTIONS
from pylstm.export.stepping import initialisation, run, step

TEMPLATES = Path(__file__).resolve().parent / "templates"


class Source(Parts):
    """The C file of a net."""

    def text(self) -> str:
        """The whole file."""
        parts = [
            self._about(),
            declarations(self),
            self._arithmetic(),
            *self._constants(),
            functions(self._used, self.real),
            self._templates_of_products(),
            *("\n".join(layer.step()) + "\n" for layer in self.layers),
            initialisation(self),
            step(self),
            run(self),
            self._template("foot"),
        ]
        text = "\n".join(part.rstrip("\n") + "\n" for part in parts if part)
        return self._named(text)

    def _named(self, text: str) -> str:
        """The text with the prefix of the net in the place of ``@``: capitals for macros."""
        text = text.replace("@real", self.real)
        text = re.sub(r"@([A-Z][A-Z0-9_]*)\b", lambda m: f"{self.name.upper()}_{m[1]}", text)
        return re.sub(r"@(\w+)", lambda m: f"{self.name}_{m[1]}", text)

    def _template(self, name: str, **values: str) -> str:
        text = (TEMPLATES / f"{name}.c.txt").read_text(encoding="utf-8")
        for key, value in values.items():
            text = re.sub(rf"@{key}\b", value, text)
        return text

    def _about(self) -> str:
        """The comment at the top: what it is, the shapes, how it is used."""
        net, name, N = self.net, self.name, self.name.upper()
        takes = f"{net.inputs} numbers"
        if net.table is not None:
            takes = f"one index, 0 to {len(net.table) - 1}"
        elif net.x_scale is not None:
            takes += ", as they come: they are standardised here"
        takes += "".join(
            f", then {layer.layer.widths[each]} of `{each}` of layer {layer.number}" for layer, each, _ in self.aux
        )
        returns = f"{net.outputs} numbers"
        returns += "" if net.read == "every" else f" for the steps so far (read: {net.read})"
        if net.classes:
            names = ", ".join(net.classes).replace("*/", "* /").replace("/*", "/ *")
            returns += f", before the softmax; the largest is the answer: {names}"
        load, call = "", f"{name}_init(&net)"
        if self.beside:
            load = "\n       // `weights`: the bytes of the file of weights, aligned to 8"
            call = f"{name}_init(&net, weights, bytes)"
        build = f"   Compile it with `cc -std=c11 -O3 -c {name}.c`; for its declarations elsewhere:\n"
        build += f'       #define {N}_DECLARE\n       #include "{name}.c"'
        return f"""/* {name}: {net.title}, {self.dtype.name}.
   Written by pylstm {version("pylstm")}; the results have the bits of `stream.step`.

   A step takes {takes} ({self.input_type});
   it returns {returns} ({self.output_type}).

       static {name}_t net; // {N}_BYTES bytes: no other memory is used{load}
       {self.input_type} x[{N}_INPUTS];
       {self.output_type} y[{N}_OUTPUTS];
       if ({call} == {N}_OK)
           while (read_input(x))
               if ({name}_step(&net, x, y) == {N}_OK)
                   use_output(y);

{"   Everything is static: include it in one source file." if self.header else build} */
"""

    def _arithmetic(self) -> str:
        """What the compiler is told, and the multiply-add."""
        single = self.real == "float"
        arm = f"(defined(__ARM_FP) && (__ARM_FP & {4 if single else 8}))"
        values = {"F": "F" if single else "", "ARM": arm}
        text = "#ifndef @DECLARE\n#ifndef @IMPLEMENTED\n#define @IMPLEMENTED\n\n"
        if self._used & {"sin", "cos", "power"} or (self.net.series is not None and self.net.series.log):
            what = "sin, cos and powers" if self.net.series is None else "logarithms of a series"
            text += f"#include <math.h> /* {what}, which are those of the C library: link with -lm */\n\n"
        text += self._template("microcontroller", **values) if self.header else ""
        text += self._template("compiler", **values) + self._template(f"fma_{self.real}")
        return text + (self._template(f"sqrt_{self.real}") if "sqrt" in self._used else "")

    @property
    def _used(self) -> set[str]:
        """Functions of math.h and rows.h that are called."""
        code = "\n".join(line for layer in self.layers for line in layer.step())
        names = (*ACTIVATIONS, *FROM_OUTPUT, *FUNCTIONS.values(), "sum_of", "sum_in")
        found = {name for name in names if re.search(rf"@{name}\(", code)}
        return found | ({self.net.activation} if self.net.activation else set())

    def _constants(self) -> Iterable[str]:
        at = 4 if self.real == "float" else 2  # what stands before the numbers in a file of weights
        if self.beside:
            yield "/* ---- where the arrays are in the file of weights ---- */"
        for name, array in self.arrays.items():
            if not array.size:
                continue
            if self.beside:
                yield f"#define @{name} (net->weights.at + {at})"
                at += array.size
            else:
                yield _array(self.real, f"@{name}", array, self.dtype)
        for name, scale in (("x", self.net.x_scale), ("y", self.net.y_scale)):
            if scale is not None:
                yield _array("double", f"@{name}_mean", np.asarray(scale[0], float), np.dtype("float64"))
                yield _array("double", f"@{name}_scale", np.asarray(scale[1], float), np.dtype("float64"))
        if self.net.series is not None and self.net.series.least is not None:
            least = np.maximum(self.net.series.least, -np.finfo(float).max)
            yield _array("double", "@y_least", least, np.dtype("float64"))

    def _templates_of_products(self) -> str:
        if self.header:
            used = self.net.maps or any(layer.products for layer in self.layers)
            return self._template("rows") if used else ""
        single = self.real == "float"
        text = self._template("vectors", GROUP=str(self.group), S="s" if single else "d", D="" if single else "d")
        rows = [len(product.weight) for layer in self.layers for product in layer.products]
        rows += [self.padded(each.out_features) for each in self.net.maps]
        groups = {(last - first) // self.group for each in rows for first, last in blocks_of(each, self.group)}
        return text + "\n".join(line for each in sorted(groups) for line in columns(each, self.group))


def _array(real: str, name: str, array: np.ndarray, dtype: np.dtype) -> str:
    """``static const float name[] = {...};``, lines of at most 120 columns."""
    head = f"static const {real} {name}[{array.size}] = {{"
    lines, line = [head], "   "
    for value in array.ravel():
        text = literal(float(value), dtype).strip("()") + ","
        if len(line) + len(text) >= 118:
            lines.append(line)
            line = "   "
        line += f" {text}"
    return "\n".join([*lines, line, "};", ""])
