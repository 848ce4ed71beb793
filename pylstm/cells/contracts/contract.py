"""`Contract`: a cell's declaration, completed and checked, for the loop, certification and the registry."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from pylstm.cells.contracts.expansion import expanded, parts_of
from pylstm.cells.contracts.limits import beyond_limits
from pylstm.cells.contracts.matrices import Matrix, Structure, factors_of, read_structures
from pylstm.cells.contracts.options import ANY, Bounds, Options, call_text, check_option
from pylstm.cells.contracts.stages import Stage
from pylstm.cells.contracts.structures import Dense
from pylstm.cells.widths import Widths, evaluated, factors, product
from pylstm.checks import quoted
from pylstm.hints import explained_constructor
from pylstm.wording import layer_in_place, some_of

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

PLAIN = Structure(Dense())

LAYER_ARGUMENTS = (
    "cell", "input_size", "hidden_size", "num_layers", "bidirectional", "dropout", "residual", "bias", "batch_first",
    "dtype", "seed", "learn_initial", "certified",
)  # fmt: skip
"""Keywords of `Recurrent` and of stacks, which no option of a cell can be called."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _product(width: Any) -> Any:
    """The one form of a width; what is none is refused with the names (`Contract._check_widths`)."""
    try:
        return product(width) if isinstance(width, str | int) and not isinstance(width, bool) else width
    except ValueError:
        return width


def wrong_cell(cell: Any) -> str:
    """Why something is not a class of cells, and what to pass."""
    if layer := layer_in_place(cell):
        return layer
    cure = ""
    if isinstance(cell, str):
        cure = ": pylstm.plugins.registry().get(name) returns the class of a name that `pylstm cells` lists"
    elif hasattr(type(cell), "states"):
        cure = f": pass the class {type(cell).__name__}, not an instance"
    elif hasattr(cell, "states"):
        cure = " itself: write a class that inherits from it"
    return f"cell must be a subclass of pylstm.Cell, got {quoted(cell)}{cure}"


@explained_constructor
@dataclass(frozen=True)
class Contract:
    """The declaration of a `Cell`, completed and checked.

    Attributes have the meaning of those of `Cell`; in addition `gate_sources` maps every gate to the tuple of its
    sources, `sources` lists all sources in order of first use (``x`` first), and `emissions` all emissions in order.
    `constants` are the names of all constants; those per unit are the last of `params`. `structure` has the sources
    whose matrix is not a plain one. Every block is real: of a name in `complex` there are ``<name>_re``
    and ``<name>_im``. The last states are those of lags (state -> the deepest).

    Examples
    --------
    >>> from pylstm.cells import LSTM
    >>> contract = LSTM.contract
    >>> contract.sources, contract.gate_sources["f"], contract.output, contract.elementwise
    (('x', 'h'), ('x', 'h'), 'h', True)
    """

    name: str
    states: tuple[str, ...]
    gates: tuple[str, ...]
    gate_sources: dict[str, tuple[str, ...]]
    sources: tuple[str, ...]
    biased: tuple[str, ...]
    params: tuple[str, ...]
    aux: tuple[str, ...]
    keep: tuple[str, ...]
    emissions: tuple[str, ...]
    stages: tuple[Stage, ...]
    widths: dict[str, str | int]
    sizes: dict[str, int | str | None]
    options: dict[str, bool | int | float]
    output: str
    domain: dict[str, tuple[float | None, float | None]]
    elementwise: bool
    constants: tuple[str, ...] = ()
    structure: dict[str, Structure] = field(default_factory=dict)
    complex: tuple[str, ...] = ()
    lags: dict[str, int] = field(default_factory=dict)

    def seen_by(self, stage: Stage) -> dict[str, tuple[str, ...]]:
        """Kind -> names of all that goes into a stage, in the order of the arguments of a formula."""
        before = self.stages[: self.stages.index(stage)]
        return {
            "gate": stage.gates,
            "previous": self.states,
            "emission": tuple(name for each in before for name in each.emits),
            "param": self.params,
            "aux": self.aux,
        }

    @classmethod
    def of(cls, cell: Any) -> Contract:
        """Complete and check the declaration of the `Cell` subclass `cell`; `TypeError` names what is wrong."""
        parts = expanded(cell)
        gates, gate_sources = tuple(parts.gates), parts.gates
        stages = parts.stages or (Stage("", gates=gates),)
        used = dict.fromkeys(source for gate in gates for source in gate_sources[gate])
        declared = {name: "input_size" if name == "x" else 1 for name in parts.aux} | parts.widths
        contract = cls(
            name=cell.name,
            states=parts.states,
            gates=gates,
            gate_sources=gate_sources,
            sources=tuple(sorted(used, key=lambda source: source != "x")),
            biased=gates if parts.biased is None else tuple(sorted(parts.biased, key=[*gates, *parts.biased].index)),
            params=(
                *parts.params,
                *(name for name in parts.constants if not str(name).startswith(("weight_", "factor_"))),
            ),
            aux=parts.aux,
            keep=tuple(cell.keep),
            emissions=tuple(name for stage in stages for name in stage.emits),
            stages=stages,
            widths={name: _product(width) for name, width in declared.items()},
            sizes=dict(cell.sizes),
            options=Options(cell.options),
            output=cell.output or (cell.states[0] if cell.states else ""),
            domain=parts.domain,
            elementwise=len(cell.formulas) == max(len(stages), 1) if cell.elementwise is None else cell.elementwise,
            constants=parts.constants,
            complex=tuple(cell.complex),
            lags=parts.lags,
        )
        contract.structure.update(read_structures(cell, contract.sources))
        contract._check_constants(cell.constants)
        contract._check_names()
        contract._check_stages()
        contract._check_domain()
        contract.check_limits()
        return contract

    @property
    def blocks(self) -> dict[str, tuple[str, ...]]:
        """Kind -> names, in the order of the C contract (`pylstm/cell.h`)."""
        kinds = ("gates", "states", "emissions", "keep", "params", "aux")
        return {kind: getattr(self, kind) for kind in kinds}

    def gates_of(self, source: str) -> tuple[str, ...]:
        """The gates that `source` feeds, in gate order: the row blocks of ``weight_<source>``."""
        return tuple(gate for gate in self.gates if source in self.gate_sources[gate])

    def resolve(self, input_size: int, hidden_size: int, **extra: int | None) -> Widths:
        """Width in elements of every block, and of ``x``, for given sizes; these are the `sizes` of the result.

        Raises
        ------
        TypeError
            A size that the cell does not have, or one without default that is missing.
        ValueError
            A size below 1.
        """
        for name in extra:
            if name not in self.sizes:
                known, options = ", ".join(self.sizes) or "none", call_text(self.options) or "none"
                raise TypeError(
                    f"cell {self.name!r} has neither a size nor an option {name!r} (its extra sizes: {known}; its "
                    f"options: {options})"
                )
        sizes: dict[str, Any] = {"input_size": input_size, "hidden_size": hidden_size, **self.sizes}
        sizes.update({name: value for name, value in extra.items() if value is not None})
        for name, value in sizes.items():
            if value is None:
                raise TypeError(f"cell {self.name!r} needs the size {name!r}: pass {name}=<number>")
            if isinstance(value, str):
                sizes[name] = sizes[value]
            if sizes[name] < 1:
                raise ValueError(f"{name} must be at least 1, got {sizes[name]}")
        names = [name for kind in self.blocks.values() for name in kind]
        declared = {name: self.widths.get(name, "hidden_size") for name in names}
        return Widths({"x": input_size} | {name: evaluated(width, sizes) for name, width in declared.items()}, sizes)

    def matrices(self, widths: Widths) -> dict[str, Matrix]:
        """Source -> its matrix at the sizes of a layer, in the order of `sources`."""
        return {
            source: Matrix(
                source,
                self.structure.get(source, PLAIN),
                tuple(widths[gate] for gate in self.gates_of(source)),
                widths[source],
                widths.sizes,
            )
            for source in self.sources
        }

    def parameter_shapes(self, widths: Widths, bias: bool = True) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter, in the order in which they are stored.

        Parameters
        ----------
        widths : dict of str to int
            What `resolve` returns.
        bias : bool
            Whether there is a ``bias`` (there is none either if no gate is biased).

        Returns
        -------
        dict of str to tuple of int
            ``weight_<source>`` (sum of the widths of the gates that it feeds, width of the source) for each source,
            in the order of `sources`, or what the `structure` of the source stores; ``bias`` (sum of the widths of the
            biased gates,), in gate order; then every per-unit parameter (width,).

        Examples
        --------
        >>> from pylstm.cells import LSTM
        >>> LSTM.contract.parameter_shapes(LSTM.contract.resolve(3, 5))
        {'weight_x': (20, 3), 'weight_h': (20, 5), 'bias': (20,)}
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for matrix in self.matrices(widths).values():
            shapes |= matrix.shapes()
        if bias and self.biased:
            shapes["bias"] = (sum(widths[gate] for gate in self.biased),)
        return shapes | {name: (widths[name],) for name in self.params}

    def check_initial_values(self, values: dict[str, Any]) -> None:
        """`TypeError` for a name in `Cell.initial_values` that is not a parameter, or a value that cannot be one."""
        biases = ("bias", *(f"bias.{gate}" for gate in self.biased)) if self.biased else ()
        known = (*self.params, *(f"weight_{source}" for source in self.sources), *factors_of(self.structure), *biases)
        for name, value in values.items():
            if name in self.constants:
                self._refuse(f"{name!r} is in initial_values and in constants: leave it out of initial_values")
            if name not in known:
                self._refuse(f"{name!r} in initial_values is not a parameter (known: {some_of(known, str(name))})")
            if not (callable(value) or isinstance(value, int | float)):
                self._refuse(f"initial_values[{name!r}] must be a number or a function(rng, shape), got {value!r}")

    def check_limits(self) -> None:
        """`TypeError` where the cell has more blocks of one kind, or linear maps, than the time loop holds."""
        if beyond := beyond_limits(self.blocks, self.gate_sources):
            self._refuse(beyond)

    def check_aux(self, name: str, values: Any) -> None:
        """`ValueError` where values of the aux input `name` are outside its domain, as NaN is."""
        low, high = self.domain.get(name, (None, None))
        below = low is not None and not (values >= low).all()
        if below or (high is not None and not (values <= high).all()):
            outside, bound = (~(values >= low), f"at least {low}") if below else (~(values <= high), f"at most {high}")
            at = tuple(int(k) for k in next(zip(*outside.nonzero())))
            raise ValueError(
                f"aux[{name!r}] must be {bound}: cell {self.name!r} is defined only there; got {values[at]:.6g} at "
                f"{at}: correct the data, or leave these steps out"
            )

    def _check_domain(self) -> None:
        known = [name for name in (*self.states, *self.params, *self.aux, *self.options) if name != "x"]
        for name, bounds in self.domain.items():
            if name not in known:
                self._refuse(
                    f"{name!r} in domain is not a state, parameter, aux input or option of this cell "
                    f"({some_of(known, str(name))})"
                )
            pair = isinstance(bounds, tuple | list) and len(bounds) == 2
            if not pair or not all(bound is None or _is_number(bound) for bound in bounds):
                self._refuse(
                    f"domain[{name!r}] must be a pair (lowest, highest) of numbers, None where there is no bound; "
                    f"got {bounds!r}"
                )
            low, high = bounds
            if low is not None and high is not None and low >= high:
                self._refuse(f"domain[{name!r}] is empty: the lowest value {low} is not below the highest {high}")
            if name in self.options:
                self._check_option(name, (low, high))

    def _refuse(self, reason: str) -> None:
        raise TypeError(f"cell {self.name!r}: {reason}")

    def _check_names(self) -> None:
        if not self.states:
            self._refuse("a cell needs at least one state")
        names = [name for kind in self.blocks.values() for name in kind]
        for name in names:
            if not isinstance(name, str) or not _NAME.match(name):
                self._refuse(f"{name!r} is not a valid name")
            if names.count(name) > 1:
                self._refuse(f"the name {name!r} is used twice (all blocks of a cell share one namespace)")
            if name == "x" and "x" not in self.aux:
                self._refuse("the name 'x' is the input; only aux may list it")
        if self.output in self.complex:
            self._refuse(f"the output {self.output!r} is complex: let a real state be the output, made of its .real")
        if self.output not in self.states:
            self._refuse(f"output {self.output!r} is not a state (states: {some_of(self.states, self.output)})")
        for name in self.params:
            if name == "bias" or name.startswith(("weight_", "factor_")):
                self._refuse(f"the parameter name {name!r} is taken by the linear maps")
        for name in self.biased:
            if name not in self.gates:
                self._refuse(f"{name!r} in biased is not a gate of this cell")
        for name in self.widths:
            if name not in names:
                self._refuse(f"{name!r} in widths is not a block of this cell")
        for name in self.complex:
            if name == "x" or not set(parts_of(name, self.complex)) <= {*names}:
                self._refuse(f"{name!r} in complex is not a block of this cell, or is its input x, which is real")
        self._check_options()
        self._check_widths()

    def _check_widths(self) -> None:
        known = ("input_size", "hidden_size", *self.sizes)
        for name, width in self.widths.items():
            try:
                if isinstance(width, bool):
                    raise ValueError
                unknown = [each for each in factors(width)[1] if each not in known]
            except (ValueError, AttributeError):
                self._refuse(
                    f"the width of {name!r} must be a size, a whole number, or a product such as '2 * hidden_size', "
                    f"got {width!r}"
                )
            if unknown:
                import difflib

                close = difflib.get_close_matches(unknown[0], known, 1)
                meant = f"did you mean {close[0]!r}? Or " if close else ""
                self._refuse(f"width of {name!r}: unknown size {unknown[0]!r}; {meant}declare it in `sizes`")

    def _check_constants(self, values: dict[str, Any]) -> None:
        weights = [f"weight_{source}" for source in self.sources]
        known = [*weights, *(f"weight_{source}.{gate}" for source in self.sources for gate in self.gates_of(source))]
        known += factors_of(self.structure)
        for name, value in values.items():
            text = str(name)
            if text.startswith(("weight_", "factor_")) and text not in known:
                self._refuse(f"the constant {text!r} is not a matrix of this cell ({some_of(known, text)})")
            source = text.removeprefix("weight_").partition(".")[0]
            if "." in text and source in self.structure and self.structure[source].tied:
                self._refuse(f"the gates of weight_{source} are tied: only 'weight_{source}' can be a constant")
            if "." in text and text.partition(".")[0] in values:
                self._refuse(f"the constants {text!r} and {text.partition('.')[0]!r} overlap: declare one of them")
            kind = getattr(getattr(value, "dtype", None), "kind", "")
            if name in self.complex and (kind == "c" or isinstance(value, complex)):
                continue
            if not (callable(value) or _is_number(value) or kind in ("f", "i", "u") or isinstance(value, list | tuple)):
                self._refuse(f"constants[{text!r}] must be a number, an array or a function(size), got {quoted(value)}")

    def _check_options(self) -> None:
        for name in self.options:
            if not isinstance(name, str) or not _NAME.match(name):
                self._refuse(f"the option {name!r} does not have a valid name")
            if name in self.sizes or name in LAYER_ARGUMENTS:
                taken = "one of its sizes" if name in self.sizes else "an argument of every layer"
                self._refuse(f"the option {name!r} has the name of {taken}: take another name")
            self._check_option(name, ANY)

    def _check_option(self, name: str, domain: Bounds) -> None:
        """Reject a default that a layer could not be given."""
        try:
            check_option(name, self.options[name], self.options[name], domain)
        except (TypeError, ValueError) as error:
            self._refuse(str(error))

    def _check_stages(self) -> None:
        owned = [gate for stage in self.stages for gate in stage.gates]
        for gate in (*self.gates, *owned):
            if owned.count(gate) != 1 or gate not in self.gates:
                self._refuse(f"gate {gate!r} must be declared in `gates` and owned by exactly one stage")
        if self.stages[-1].emits:
            self._refuse("the last stage makes the new states and cannot emit")
        available = ["x", *self.states]
        for stage in self.stages:
            for gate in stage.gates:
                for source in self.gate_sources[gate]:
                    if source not in available:
                        self._refuse(
                            f"gate {gate!r}: source {source!r} is neither x, nor a state, nor emitted by a stage "
                            f"before its own (available: {some_of(available, source)})"
                        )
            available += stage.emits
