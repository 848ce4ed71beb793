"""A derivation as a page: equations, derivatives, recursion, tape, operation counts."""

from __future__ import annotations

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.options import call_text
from pylstm.cells.formula.derivation import Derivation
from pylstm.cells.formula.emission import latex
from pylstm.cells.formula.emission.latex import aligned
from pylstm.cells.formula.emission.numpy import stage_source
from pylstm.cells.formula.graph import FUNCTIONS
from pylstm.checks import quoted
from pylstm.hints import explained

_COTANGENTS = r"""From the cotangents $d$ of its results the row hook delivers those of its gates, and the direct paths
to previous states (overlined). $\delta$: cotangents of intermediate values."""


@explained()
def derivation_page(derivation: Derivation, title: str = "", reference: str = "") -> str:
    """The page of one cell, Markdown with LaTeX in ``$$``.

    Parameters
    ----------
    derivation : Derivation
    title : str
        Default: the name of the cell.
    reference : str
        Where the equations come from.

    Examples
    --------
    >>> from pylstm.cells import LSTM, derivation_page, derive
    >>> derivation_page(derive(LSTM), title="The LSTM").splitlines()[0]
    '# The LSTM'
    """
    if not isinstance(derivation, Derivation):
        raise TypeError(f"derivation must be a Derivation, got {quoted(derivation)}: derivation_page(derive(cell))")
    contract = derivation.contract
    parts = [f"# {title or contract.name}", *([reference] if reference else []), _declaration(contract)]
    several = len(contract.stages) > 1
    for stage in contract.stages:
        if several:
            parts.append(f"## Stage `{stage.name}`")
        derived = derivation.stages[stage.name]
        parts += ["## Forward", "Products are per unit; index t is the step."]
        parts += _math(latex.preactivations(contract, stage) + latex.forward_equations(derived))
        parts += ["## Local derivatives", *_math(latex.local_derivatives(derived))]
        parts += ["## Cotangents", _COTANGENTS]
        parts += _math(_marked(latex.backward_equations(derived), contract))
    parts.append("## Back-propagation through time")
    parts.append("The loop adds the recurrent products to the direct paths (overlined), and sums over time:")
    parts += _math(latex.recursion(contract, derivation))
    parts += ["## Tape", _tape(derivation), "## Operations", _operations(derivation)]
    source = "\n\n\n".join(stage_source(derivation.stages[stage.name]).rstrip() for stage in contract.stages)
    parts += ["## NumPy twin", f"```text\n{source}\n```"]
    return "\n\n".join(parts) + "\n"


def _math(pairs: list[tuple[str, str]]) -> list[str]:
    return [f"$$\n{aligned(pairs)}\n$$"] if pairs else ["None: constants."]


def _marked(pairs: list[tuple[str, str]], contract: Contract) -> list[tuple[str, str]]:
    """Direct paths to previous states are overlined, as in the recursion."""
    direct = {"d" + latex.symbol(name, "t-1") for name in contract.states}
    return [(rf"\overline{{{left}}}" if left in direct else left, right) for left, right in pairs]


def _declaration(contract: Contract) -> str:
    lines = [f"- states: {', '.join(contract.states)} (output {contract.output})"]
    gates = ", ".join(f"{gate} ({' + '.join(contract.gate_sources[gate])})" for gate in contract.gates)
    lines.append(f"- gates: {gates or 'none'}")
    trained = [name for name in contract.params if name not in contract.constants]
    for kind, names in (("parameters per unit", trained), ("constants", contract.constants), ("aux", contract.aux)):
        if names:
            lines.append(f"- {kind}: {', '.join(names)}")
    if contract.options:
        lines.append(f"- options, here as numbers: {call_text(contract.options)}")
    return "\n".join(lines)


def _tape(derivation: Derivation) -> str:
    contract = derivation.contract
    rows = [("block", "holds"), ("---", "---")]
    rows += [(f"state {name}", f"${latex.symbol(name)}$ of all steps") for name in contract.states]
    rows += [(f"emission {name}", f"${latex.symbol(name)}$") for name in contract.emissions]
    for stage in derivation.stages.values():
        for gate, node in stage.slots.items():
            rows.append((f"gate {gate}", "the pre-activation" if node.op == "leaf" else _what(node.op, gate)))
        rows += [(f"kept {name}", "needed by backward, not cheap to compute again") for name in stage.keep]
    values = len(contract.gates) + len(contract.states) + len(contract.emissions) + len(contract.keep)
    table = "\n".join(f"| {left} | {right} |" for left, right in rows)
    return f"{table}\n\n{values} values per unit and step."


def _what(op: str, gate: str) -> str:
    return f"the activation `{op}` of gate {gate}" if op in (*FUNCTIONS, "relu") else f"a result of `{op}`"


def _operations(derivation: Derivation) -> str:
    forward, backward = derivation.counts("forward"), derivation.counts("backward")
    names = list(dict.fromkeys([*forward, *backward]))
    lines = ["| per unit and step | forward | backward |", "| --- | --- | --- |"]
    lines += [f"| {name} | {forward.get(name, 0)} | {backward.get(name, 0)} |" for name in names]
    lines.append(f"| all | {sum(forward.values())} | {sum(backward.values())} |")
    contract = derivation.contract
    products = ", ".join(
        f"weight_{source}: {len(contract.gates_of(source))} gates"
        + (f", {contract.structure[source]}" if source in contract.structure else "")
        for source in contract.sources
    )
    return "\n".join(lines) + f"\n\nMatrix products: {products or 'none'}."
