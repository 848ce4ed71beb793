"""`LayerCode`: one recurrent layer as C: its arrays, its states and the function of its step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pylstm.cells import FormulaError, derive
from pylstm.cells.contracts.contract import Contract
from pylstm.cells.formula import Block, Program
from pylstm.cells.kernels import load_kernel
from pylstm.export.formula import Phase, Places, StageCode, stage_code
from pylstm.export.rows import row_code
from pylstm.layers.recurrent import RecurrentLayer

GROUP_BYTES = 32
"""Size of the columns that a vector holds."""
MOST_GROUPS = 8
"""Vectors of sums that stay in registers."""

_WORDS = """
alignas alignof and asm atomic auto bitand bitor bool break case catch char class compl concept const
constexpr continue decltype default delete do double else enum explicit export extern false float for friend
goto if inline int long main mutable namespace new noexcept not nullptr operator or private protected public
register restrict return requires short signed sizeof static struct switch template this throw true try
typedef typeid typename union unsigned using virtual void volatile while xor
"""
WORDS = frozenset(_WORDS.split())
"""Words of C and C++, which cannot be names."""


@dataclass
class Product:
    """``z[column ...] += W source``: `weight` (N, K) with the rows in the order of the columns."""

    source: Block
    stage: int
    column: int
    weight: np.ndarray


class LayerCode:
    """The layer number `number`; `packed`: in groups of columns for vectors, else row by row."""

    def __init__(self, layer: RecurrentLayer, number: int, dtype: np.dtype, *, packed: bool) -> None:
        self.layer, self.number, self.dtype, self.packed = layer, number, dtype, packed
        self.contract: Contract = layer.cell.contract
        self.name = f"layer{number}"
        self.group = GROUP_BYTES // dtype.itemsize if packed else 1
        self.derivation = _derivation(layer)
        self.programs = [self.derivation.stages[stage.name].forward for stage in self.contract.stages]
        self.columns = self._columns()

    # --- sizes and arrays --------------------------------------------------------------------------------------

    def padded(self, width: int) -> int:
        """Elements of a block of so many: whole groups."""
        return -(-width // self.group) * self.group

    def width(self, name: str) -> int:
        """Units of a state, emission, parameter or per-step input."""
        return int(self.layer.widths[name])

    def room(self, name: str) -> int:
        """The same with padding."""
        return self.padded(self.width(name))

    def _columns(self) -> dict[str, int]:
        columns, at = {}, 0
        for gate in self.contract.gates:
            columns[gate] = at
            at += self.room(gate)
        self.z = at
        return columns

    def _gate_rows(self, array: np.ndarray, gates: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Gate -> its rows, filled up with zeros."""
        found, at = {}, 0
        for gate in gates:
            width = self.layer.widths[gate]
            rows = np.zeros((self.room(gate), *array.shape[1:]), self.dtype)
            rows[:width] = array[at : at + width]
            found[gate], at = rows, at + width
        return found

    @cached_property
    def products(self) -> list[Product]:
        """All maps in the order in which the engine adds them: neighbouring gates of a source are one."""
        contract, found = self.contract, list[Product]()
        stage_of = {gate: number for number, stage in enumerate(contract.stages) for gate in stage.gates}
        for source in contract.sources:
            rows = self._gate_rows(self.layer.matrix(source), contract.gates_of(source))
            kind = "x" if source == "x" else "prev" if source in contract.states else "emissions"
            block, end = Block(kind, source), -1
            for gate, weight in rows.items():
                stage = stage_of[gate] if kind == "emissions" else -1
                if end == self.columns[gate] and found[-1].stage == stage:
                    found[-1].weight = np.concatenate([found[-1].weight, weight])
                else:
                    found.append(Product(block, stage, self.columns[gate], weight))
                end = self.columns[gate] + len(weight)
        return found

    @cached_property
    def bias(self) -> np.ndarray:
        """(z,): 0 where there is none."""
        bias = np.zeros(self.z, self.dtype)
        if self.layer.bias and self.contract.biased:
            for gate, rows in self._gate_rows(self.layer.params["bias"], self.contract.biased).items():
                bias[self.columns[gate] : self.columns[gate] + len(rows)] = rows
        return bias

    def arrays(self) -> dict[str, np.ndarray]:
        """Name -> constant array."""
        found = {f"{self.name}_bias": self.bias}
        for number, product in enumerate(self.products):
            found[self._weight_name(number)] = (
                packed_columns(product.weight, self.group) if self.packed else product.weight.ravel()
            )
        for name in self.contract.params:
            found[f"{self.name}_{name}"] = self._filled(self.layer.params[name], self.room(name))
        for name in self.layer.learn_initial:
            found[f"{self.name}_initial_{name}"] = self._filled(self.layer.params[f"initial_{name}"], self.room(name))
        return found

    def _filled(self, array: np.ndarray, room: int) -> np.ndarray:
        filled = np.zeros(room, self.dtype)
        filled[: len(array)] = array
        return filled

    def _weight_name(self, number: int) -> str:
        product = self.products[number]
        same = [k for k, each in enumerate(self.products) if each.source == product.source]
        return f"{self.name}_weight_{product.source.name}" + (f"_{same.index(number)}" if len(same) > 1 else "")

    def states(self) -> dict[str, tuple[int, int]]:
        """State -> elements in memory, and how many of them count."""
        return {name: (self.room(name), self.layer.widths[name]) for name in self.contract.states}

    def state(self, name: str) -> str:
        """The C name of a state."""
        return f"net->{self.name}.{c_name(name)}"

    @property
    def aux(self) -> list[str]:
        """Per-step inputs that the caller passes."""
        return [name for name in self.contract.aux if name != "x"]

    def scratch(self) -> dict[str, int]:
        """Name -> elements that live during a step only."""
        found = {f"e_{name}": self.room(name) for name in self.contract.emissions}
        found |= {f"u_{name}": self.room(name) for name in self.aux}
        for stage in self.stages:
            for name, room in stage.arrays.items():
                found[name] = max(found.get(name, 0), room)
        return found | {f"new_{name}": self.room(name) for name in self._shadowed}

    @property
    def output(self) -> str:
        """The C name of the output."""
        return self.state(self.contract.output)

    # --- the step ----------------------------------------------------------------------------------------------

    def element(self, block: Block) -> str:
        """The element of a block at unit ``k``."""
        narrow = any(program.widths.get(block) == 1 for program in self.programs)
        at = "0" if narrow else "k"
        if block.kind == "gates":
            column = self.columns[block.name]
            return f"z[{column}]" if narrow else f"z[{column} + k]" if column else "z[k]"
        return f"{self.array(block)}[{at}]"

    def array(self, block: Block) -> str:
        """The place at which a block begins."""
        if block.name == "x" and block.kind in ("x", "aux"):
            return "x"
        if block.kind == "gates":
            column = self.columns[block.name]
            return f"z + {column}" if column else "z"
        if block.kind == "params":
            return f"@{self.name}_{block.name}"
        if block.kind == "prev":
            return self.state(block.name)
        if block.kind == "states":
            return f"net->scratch.new_{block.name}" if block.name in self._shadowed else self.state(block.name)
        return f"net->scratch.{'e' if block.kind == 'emissions' else 'u'}_{block.name}"

    @cached_property
    def _shadowed(self) -> set[str]:
        """States of which the old values are read after the new ones are there, or while a function writes them."""
        written, found = set[str](), set[str]()
        for program in self.programs:
            for phase in self._coded(program, _Anywhere()).phases:
                found |= written & phase.reads
                written |= phase.writes
                found |= phase.writes & phase.reads if phase.call else set()
        return found

    @cached_property
    def stages(self) -> list[StageCode]:
        """The code of every stage."""
        return [self._coded(program, self) for program in self.programs]

    def _coded(self, program: Program, places: Places) -> StageCode:
        contract = self.derivation.contract
        if program.sized:
            return row_code(program, contract, self.dtype, places, self.layer.widths.sizes)
        piece = 0 if self.layer.cell.kernel is None else 1  # printed kernels add the units one after another
        return stage_code(program, contract, self.dtype, places, piece)

    def step(self) -> list[str]:
        """The C function ``@layer0(net, x)``: all that happens in a step."""
        real = "@real"
        lines = [f"/* {self._about()} */", f"static void @{self.name}(@t *net, const {real} *x) {{"]
        if self.z:
            lines += [f"    {real} *const z = net->scratch.z;", ""]
            lines += self._pre_activations()
        if not any(each.source.kind == "x" for each in self.products) and "x" not in self.contract.aux:
            lines.append("    (void)x;")
        for number, code in enumerate(self.stages):
            lines += self._products(lambda each, number=number: each.stage == number)
            lines += self._stage(number, code.phases)
        for name in sorted(self._shadowed):
            lines += [
                f"    for (int k = 0; k < {self.room(name)}; k++)",
                f"        {self.state(name)}[k] = net->scratch.new_{name}[k];",
            ]
        return [*lines, "}"]

    def _about(self) -> str:
        layer = self.layer
        options = "".join(f", {name} = {value}" for name, value in layer.cell.options.items())
        return f"Layer {self.number}: {layer.cell.name}{options}, {layer.input_size} -> {layer.output_size}."

    def _pre_activations(self) -> list[str]:
        """z = b + W_x x + the maps of the previous states."""
        lines = [
            "    /* z = b + W x + U s, s the previous states */",
            f"    for (int k = 0; k < {self.z}; k++)",
            f"        z[k] = @{self.name}_bias[k];",
        ]
        return lines + self._products(lambda each: each.stage < 0)

    def _products(self, wanted: Any) -> list[str]:
        lines = []
        for number, product in enumerate(self.products):
            if not wanted(product):
                continue
            source, weight = self.array(product.source), f"@{self._weight_name(number)}"
            rows, terms = product.weight.shape
            z = f"z + {product.column}" if product.column else "z"
            lines += product_calls(self.packed, self.group, source, terms, weight, z, rows)
        return lines

    def _stage(self, number: int, phases: list[Phase]) -> list[str]:
        stage = self.contract.stages[number]
        lines = [f"    /* stage {stage.name} */"] if stage.name else []
        lines += ["    @FENCE"] if self.packed and self.z else []
        apart = len(self.stages) > 1 and any(not phase.width for phase in phases)  # names outside of loops
        outer = "        " if apart else "    "
        lines += ["    {"] if apart else []
        for phase in phases:
            indent = outer + "    " if phase.width else outer
            lines += [f"{outer}for (int k = 0; k < {phase.width}; k++) {{"] if phase.width else []
            for line in phase.lines:
                if line.store:
                    lines.append(f"{indent}{line.text} = {line.uses[0]};")
                else:
                    lines.append(f"{indent}const @real {line.name} = {line.text};")
            lines += [f"{indent}{phase.call};"] if phase.call else []
            lines += [f"{outer}}}"] if phase.width else []
        return [*lines, "    }"] if apart else lines


class _Anywhere:
    """Places that do not matter: what is read and written is wanted."""

    def element(self, block: Block) -> str:
        return block.name

    def array(self, block: Block) -> str:
        return block.name

    def room(self, name: str) -> int:
        return 1

    def width(self, name: str) -> int:
        return 1


def c_name(name: str) -> str:
    """A name of Python that C can take."""
    return name + "_" if name in WORDS else name


def packed_columns(weight: np.ndarray, group: int) -> np.ndarray:
    """(N, K) as the blocks of `product_calls` read it: of each block its columns, term after term."""
    pieces = [weight[first:last].T.ravel() for first, last in blocks_of(len(weight), group)]
    return np.concatenate(pieces) if pieces else np.zeros(0, weight.dtype)


def blocks_of(columns: int, group: int) -> list[tuple[int, int]]:
    """The columns of a product, as many at a time as stay in registers: 8, 4, 2 or 1 groups."""
    found, at = [], 0
    while at < columns:
        groups = MOST_GROUPS
        while at + groups * group > columns:
            groups //= 2
        found.append((at, at + groups * group))
        at += groups * group
    return found


def product_calls(packed: bool, group: int, source: str, terms: int, weight: str, z: str, rows: int) -> list[str]:
    """The calls that add a product to z."""
    if not packed:
        return [f"    @rows({source}, {terms}, {weight}, {z}, {rows});"]
    lines = []
    for first, last in blocks_of(rows, group):
        at, to = f"{weight} + {first * terms}" if first else weight, f"{z} + {first}" if first else z
        lines.append(f"    @columns{(last - first) // group}({source}, {terms}, {at}, {to});")
    return lines


def _derivation(layer: RecurrentLayer) -> Any:
    """The formulas of the cell; `TypeError` where a forward function cannot be read as one."""
    cell = layer.cell
    try:
        derivation = derive(cell)
    except (FormulaError, AttributeError) as error:
        raise TypeError(
            f"the cell {cell.name!r} cannot be exported: its forward function is not a formula of the functions of "
            f"pylstm.cells ({error}): write it as one (see the guide of formula cells)"
        ) from None
    if load_kernel(cell, layer.widths.sizes) is None:
        raise TypeError(
            f"the cell {cell.name!r} cannot be exported: it runs as NumPy functions, which round as NumPy does: "
            "leave out backward, which is then derived, or give the cell a compiled kernel"
        )
    return derivation
