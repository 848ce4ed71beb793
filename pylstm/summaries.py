"""`Outlined`: layers and models as rows of name, output shape and number of parameters, in text and in HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pylstm.checks import listed
from pylstm.markup import Heading, table
from pylstm.parameters import Parameters

Shape = tuple[Any, ...]
"""Sizes; letters where any size fits."""
HEADER = ("layer", "output shape", "parameters")
WIDEST = 64
"""Letters of the longest name that the columns stand beside; longer ones have a line of their own."""


class Summary(str):
    """A text that an interactive session shows as it is, not quoted."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass
class Row:
    """A line: of a layer, or where `inner` of one of its parameters."""

    name: str
    shape: Shape | None = None
    size: int | None = None
    mark: str = ""
    inner: bool = False

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Its columns as text."""
        indent = "  " if self.inner else ""
        return indent + self.name, shape_text(self.shape), "" if self.size is None else f"{self.size:,}", self.mark


@dataclass
class Rows:
    """The rows of a summary, in order, and the parameters in them, each block once."""

    rows: list[Row] = field(default_factory=list)
    blocks: dict[int, tuple[str, Parameters]] = field(default_factory=dict)

    def add(self, name: str, thing: Any, takes: Shape | None) -> None:
        """Add a layer or model, which takes arrays of this shape; or what has no parameters, by its name and result."""
        if isinstance(thing, Step):
            self.rows.append(Row(f"{name}: {thing.text}", thing.returns))
            return
        parts = list(thing._outline(takes)) if isinstance(thing, Outlined) else []
        what = type(thing).__name__ if parts else repr(thing)
        row = Row(f"{name}: {what}" if name else what, returned(thing, takes))
        self.rows.append(row)
        if not parts:
            self._add_parameters(row, thing)
            return
        inner = Rows()
        for part, each, shape in parts:
            inner.add(f"{name}.{part}" if name else part, each, shape)
        row.size = sum(params.size - params.constant_size for _, params in inner.blocks.values())
        self.rows += inner.rows
        self.blocks |= {key: block for key, block in inner.blocks.items() if key not in self.blocks}

    def _add_parameters(self, row: Row, layer: Any) -> None:
        blocks = [each.params for each in ([layer] if hasattr(layer, "params") else getattr(layer, "layers", []))]
        constants = sum(params.constant_size for params in blocks)
        row.size = sum(params.size for params in blocks) - constants if blocks else None
        row.mark = f"and {constants:,} constants" if constants else ""
        for params in blocks:
            if id(params) in self.blocks:
                row.mark = f"those of {self.blocks[id(params)][0]}"
                continue
            self.blocks[id(params)] = row.name.partition(":")[0], params
            marks = dict(getattr(layer, "_structures", {}))
            for kind, names in (("frozen", params.frozen), ("constant", params.constants)):
                marks |= {each: f"{marks[each]}, {kind}" if each in marks else kind for each in names}
            self.rows += [Row(each, a.shape, a.size, marks.get(each, ""), inner=True) for each, a in params.items()]

    @property
    def total(self) -> str:
        """Numbers of parameters in words."""
        blocks = [params for _, params in self.blocks.values()]
        constant, nbytes = sum(each.constant_size for each in blocks), sum(each.flat.nbytes for each in blocks)
        size, trained = sum(each.size for each in blocks) - constant, sum(each.trained_size for each in blocks)
        held = f" ({trained:,} trained)" if trained < size else ""
        held += f", {constant:,} constants" if constant else ""
        return f"{size:,} parameters{held}, {nbytes:,} bytes"

    def __str__(self) -> str:
        lines = [(*HEADER, ""), *(row.cells for row in self.rows)]
        name = max((len(each[0]) for each in lines if len(each[0]) <= WIDEST), default=0)
        shape, number = (max(len(each[k]) for each in lines) for k in (1, 2))
        texts = []
        for label, *columns in lines:
            if len(label) > name and any(columns):
                texts.append(label)
                label = ""
            texts.append(f"{label:{name}}  {columns[0]:{shape}}  {columns[1]:>{number}}  {columns[2]}".rstrip())
        return "\n".join([*texts, self.total])

    def html(self, caption: str) -> str:
        """The table for notebooks."""
        return table(caption, [*HEADER, ""], [_html_cells(row) for row in self.rows], self.total)


def _html_cells(row: Row) -> tuple[str, ...]:
    _, *columns = row.cells
    return (f"\u2003{row.name}" if row.inner else Heading(row.name), *columns)


@dataclass(frozen=True)
class Step:
    """What has no parameters and changes the shape, such as a read-out."""

    text: str
    returns: Shape | None


class Outlined:
    """What a class says of its shapes: what comes in, what it is made of, what it returns."""

    __slots__ = ()

    def _takes(self) -> Shape | None:
        """The shape of what it takes, with letters for what may have any size; None: unknown."""
        return None

    def _returns(self, takes: Shape) -> Shape | None:
        """The shape that it returns for one that it takes; None: unknown."""
        return None

    def _outline(self, takes: Shape | None) -> Iterator[tuple[str, Any, Shape | None]]:
        """What it is made of: names, parts, and the shape that each takes. By itself each takes what it may."""
        for name, part in (getattr(self, "parts", None) or {}).items():
            yield name.rstrip("."), part, part._takes() if isinstance(part, Outlined) else None


def returned(thing: Any, takes: Shape | None) -> Shape | None:
    """The shape that a part returns for one that it takes; None: unknown."""
    if takes is None:
        return None
    if isinstance(thing, Outlined):
        return thing._returns(takes)
    width = getattr(thing, "out_features", None)
    return None if width is None else (*takes[:-1], width)


def rows_of(thing: Any, input_shape: Any = None) -> Rows:
    """The summary of a layer or model for inputs of a shape; None: of any size.

    Raises
    ------
    TypeError, ValueError
        A shape that it does not take.
    """
    rows = Rows()
    takes = thing._takes()
    if input_shape is not None:
        takes = check_taken(type(thing).__name__, input_shape, takes)
    rows.add("", thing, takes)
    return rows


def check_taken(kind: str, given: Any, takes: Shape | None) -> Shape:
    """The given shape, with the letters of `takes` where it has None.

    Raises
    ------
    TypeError
        It is not a sequence of sizes, or the class does not say what it takes.
    ValueError
        It is not one of those that are taken.
    """
    if takes is None:
        raise TypeError(f"{kind} does not say which shapes it takes: call summary() without input_shape")
    wanted = shape_text(takes)
    sizes = tuple(listed("input_shape", given, f"sizes, such as {wanted}"))
    for each in sizes:
        if isinstance(each, bool) or not (each is None or isinstance(each, str) or hasattr(each, "__index__")):
            raise TypeError(f"input_shape must hold sizes, or None for any, got {each!r}")
    if takes[:1] == ("...",):  # any number of axes
        takes = (*[None] * (len(sizes) - len(takes) + 1), *takes[1:])
    elif len(takes) == 3 and len(sizes) == 2 and "B" in takes:  # one sequence
        takes = tuple(each for each in takes if each != "B")
    wrong = len(sizes) != len(takes) or any(
        isinstance(want, int) and got is not None and got != want for got, want in zip(sizes, takes)
    )
    if wrong or any(isinstance(each, int) and each < 0 for each in sizes):
        raise ValueError(f"input_shape must be {wanted} for this {kind}, got {shape_text(sizes)}")
    return tuple((want if want is not None else "N") if got is None else got for got, want in zip(sizes, takes))


def shape_text(shape: Sequence[Any] | None) -> str:
    """A shape as `str` has it, letters without quotes.

    Examples
    --------
    >>> shape_text(("T", "B", 8)), shape_text((32,)), shape_text(None)
    ('(T, B, 8)', '(32,)', '')
    """
    if shape is None:
        return ""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
