"""A compiled kernel, stage by stage: values against the twin's, derivatives against the true ones, writes where it may.

All blocks of a stage lie side by side in one array, a row of which is a batch row. So "nothing else was touched" and
"the rows stay apart" are comparisons of whole arrays, bit by bit, and no block is contiguous.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pylstm.cells._hooks import SideBySide, describe
from pylstm.cells.certification.certificate import Certificate
from pylstm.cells.certification.certified import SCALES, Certified, batches, parts_of, path_names
from pylstm.cells.certification.problem import Key, Problem
from pylstm.cells.certification.rounding import VALUES, total
from pylstm.cells.certification.truth import Bounds
from pylstm.cells.contracts.stages import hook_name

IN = {"gate": "gates", "previous": "prev", "emission": "emissions", "aux": "aux", "param": "params"}
TAPE = {"gate": "gates", "keep": "keep", "emission": "emissions", "state": "states"}
LABEL = {"gates": "gate", "prev": "previous", "emissions": "emission", "states": "new", "params": "param"}


Tables = tuple[np.ndarray, np.ndarray]
"""All blocks that have rows, side by side; all per-unit vectors, one after another."""


class Table:
    """The blocks of a stage: where each lies, and the hook that works on them.

    `rows` is an array (rows, all widths); `vectors` holds the parameters and their cotangents. Both are NaN wherever
    nothing is put, so that what a kernel must not read shows in its results, and what it does not write as well.
    """

    def __init__(self, problem: Problem, capsule: Any, dtype: str, form: str) -> None:
        contract = problem.contract
        self.capsule, self.dtype, self.form, self.number = capsule, dtype, form, problem.number
        forward = {"prev": contract.states} | contract.blocks
        backward = {"d" + kind: names for kind, names in forward.items() if kind != "keep"}
        self.at: dict[Key, slice] = {}
        self.vector_at: dict[Key, slice] = {}
        self.widths = [0, 0]
        for kind, names in (forward | backward).items():
            vector = kind.endswith("params")
            for name in names:
                end = self.widths[vector] + problem.widths[name]
                (self.vector_at if vector else self.at)[kind, name] = slice(self.widths[vector], end)
                self.widths[vector] = end
        at = {key: (each.start, each.stop - each.start) for key, each in (self.at | self.vector_at).items()}
        self.places = [
            {kind: [at[kind, name] for name in each] for kind, each in names.items()}
            for names in (forward, forward | backward)
        ]
        self.hooks: dict[bool, SideBySide] = {}

    def empty(self, rows: int) -> Tables:
        """`rows` and `vectors`, all NaN."""
        return np.full((rows, self.widths[0]), np.nan, self.dtype), np.full(self.widths[1], np.nan, self.dtype)

    def block(self, tables: Tables, kind: str, name: str) -> np.ndarray:
        """One block, a view: (rows, width), of parameters (width,)."""
        rows, vectors = tables
        return vectors[self.vector_at[kind, name]] if kind.endswith("params") else rows[:, self.at[kind, name]]

    def run(self, tables: Tables, backward: bool) -> None:
        """Call the hook, in place."""
        if backward not in self.hooks:
            self.hooks[backward] = SideBySide(self.capsule, self.number, backward, self.dtype, self.places[backward])
        self.hooks[backward](*tables)

    def run_rows(self, before: Tables, rows: Any, backward: bool) -> Tables:
        """The outcome for some of the rows, in the order given."""
        tables = np.array(before[0][rows]), before[1].copy()
        self.run(tables, backward)
        return tables


def certify_kernel(
    certificate: Certificate,
    capsule: Any,
    certified: Certified,
    dtype: str | None,
    form: str,
    carefully: Callable[[Certified, str], Certified],
) -> None:
    """All checks of one stage of a kernel, for `dtype` or for all that it offers.

    What fails has a second chance against `carefully(certified, dtype)`, if rows are left there.
    """
    offered = describe(capsule)["dtypes"]
    if not offered or (dtype and dtype not in offered):
        certificate.fail("kernel", "dtypes", f"supports {', '.join(offered) or 'neither float32 nor float64'}")
        return
    for each in (dtype,) if dtype else offered:
        found = _certify_in(certificate.cell, capsule, certified, each, form)
        if not found.ok:
            again = _certify_in(certificate.cell, capsule, carefully(certified, each), each, form)
            found = again if again.ok and again.paths else found
        certificate.add(found)


def _certify_in(cell: str, capsule: Any, certified: Certified, dtype: str, form: str) -> Certificate:
    """All checks in one dtype, in the rows that it can follow."""
    found, form = Certificate(cell), f"{form} {dtype}"
    some = certified.take(certified.rounding.rows(dtype))
    if not some.problem.rows:
        where = certified.problem.remark.removeprefix(", params ")
        where = f"where params are {where}" if where != certified.problem.remark else "at its places"
        found.notes.append(f"{form}: not certified {where}: its roundings are too large there")
        return found
    table = Table(some.problem, capsule, dtype, form)
    try:
        _certify_forward(found, table, some)
        _certify_backward(found, table, some)
    except Exception as error:  # a hook that is not there, or one in Python that raises
        found.fail(table.form, f"hooks{some.problem.remark}", str(error))
    return found


def _filled(table: Table, problem: Problem) -> Tables:
    tables = table.empty(problem.rows)
    for (kind, name), value in problem.inputs.items():
        table.block(tables, IN[kind], name)[:] = value
    return tables


def _certify_forward(certificate: Certificate, table: Table, certified: Certified) -> None:
    """Values, what is left untouched, and the rows."""
    form, problem = table.form, certified.problem
    before = _filled(table, problem)
    after = table.run_rows(before, slice(None), backward=False)
    for (kind, name), expected in certified.tape.items():
        label = f"{LABEL.get(TAPE[kind], kind)} {name}{problem.remark}"
        got, allowed = table.block(after, TAPE[kind], name), certified.rounding.values[table.dtype][kind, name]
        certificate.compare(form, label, got, Bounds.exactly(expected), allowed, "twin", problem.places)
    written = {(TAPE[kind], name) for kind, name in certified.tape}
    _check_untouched(certificate, problem, table, before, after, written, backward=False)
    _check_rows(certificate, problem, table, before, after, backward=False)


def _certify_backward(certificate: Certificate, table: Table, certified: Certified) -> None:
    """Derivatives of each output alone, then of all together, by rows, at scales, onto blocks that are not zero."""
    problem = certified.problem
    before = _filled(table, problem)
    for (kind, name), value in certified.tape.items():
        table.block(before, TAPE[kind], name)[:] = value
    added = [key for key in problem.inputs if key[0] != "gate"]
    for kind, name in added:
        table.block(before, "d" + IN[kind], name)[:] = 0
    reverse = np.arange(problem.rows)[::-1]
    table.run_rows(_filled(table, problem), reverse, backward=False)  # what a kernel remembers is of another step now

    right = dict.fromkeys(problem.inputs, True)
    for output in problem.d:
        _put_cotangents(table, before, problem, {name: name == output for name in problem.d})
        after = table.run_rows(before, slice(None), backward=True)
        allowed = certified.rounding.gradients[table.dtype][output]
        found = _compare(certificate, table, certified, after, certified.truth[output], allowed, output)
        right = {key: right[key] and found[key] for key in right}
    calm = certified.take(problem.calm)
    for remark, factor in SCALES.items() if not problem.remark else ():
        _put_cotangents(table, before, problem, dict.fromkeys(problem.d, factor))
        after = table.run_rows(before, problem.calm, backward=True)
        right = _certify_total(certificate, table, calm, after, right, f", cotangents {remark}", factor)

    if not problem.remark:
        after = _added([_put_and_run(table, before, problem, some) for some in parts_of(problem)])
        right = _certify_total(certificate, table, certified, after, right, ", cotangents of 0 in places")

    _put_cotangents(table, before, problem, dict.fromkeys(problem.d, 1.0))
    _certify_vectors(certificate, table, certified, before, right)
    random = np.random.default_rng(7)
    for kind, name in added:
        block = table.block(before, "d" + IN[kind], name)
        block[:] = random.uniform(0.3, 0.9, block.shape)
    after = table.run_rows(before, slice(None), backward=True)
    if calm.problem.rows:
        _check_together(certificate, table, calm, (before[0][problem.calm], before[1]), right)
    written = {("d" + IN[kind], each) for kind, each in problem.inputs}
    _check_untouched(certificate, problem, table, before, after, written, backward=True)
    _check_rows(certificate, problem, table, before, after, backward=True)


def _put_and_run(table: Table, before: Tables, problem: Problem, factors: dict[str, Any]) -> Tables:
    _put_cotangents(table, before, problem, factors)
    return table.run_rows(before, slice(None), backward=True)


def _added(parts: list[Tables]) -> tuple[Any, Any]:
    return sum(rows for rows, _ in parts), sum(vectors for _, vectors in parts)


def _put_cotangents(table: Table, tables: Tables, problem: Problem, factors: dict[str, Any]) -> None:
    for name, d in problem.d.items():
        table.block(tables, "dstates" if problem.last else "demissions", name)[:] = d * factors[name]


def _compare(
    certificate: Certificate,
    table: Table,
    certified: Certified,
    after: Tables,
    truth: dict[Key, Bounds],
    allowed: dict[Key, np.ndarray],
    output: str,
    remark: str = "",
) -> dict[Key, bool]:
    """Cotangents of inputs against the truth: of parameters, summed over the rows."""
    problem = certified.problem
    got = {key: table.block(after, "d" + IN[key[0]], key[1]) for key in truth}
    allowed = {key: allowed[key].sum(axis=0) if key[0] == "param" else allowed[key] for key in truth}
    truth = {key: bounds.sum() if key[0] == "param" else bounds for key, bounds in truth.items()}
    names = path_names(output, problem, remark)
    return certificate.compare_paths(table.form, names, got, truth, allowed, certified.method, problem.places)


def _certify_total(
    certificate: Certificate,
    table: Table,
    certified: Certified,
    after: Tables,
    right: dict[Key, bool],
    remark: str,
    factor: float = 1.0,
) -> dict[Key, bool]:
    """The sum over all outputs, of what has been right so far, and what is right then."""
    keys = [key for key, correct in right.items() if correct]
    truth = {key: total(certified.truth, key) * factor for key in keys}
    allowed = {key: certified.rounding.of_all(table.dtype, key) * factor for key in keys}
    return right | _compare(certificate, table, certified, after, truth, allowed, "all outputs", remark)


def _certify_vectors(
    certificate: Certificate, table: Table, certified: Certified, before: Tables, right: dict[Key, bool]
) -> None:
    """The parameters' cotangents, row by row: in a sum over rows large ones hide small ones."""
    keys = [key for key, correct in right.items() if correct and key[0] == "param"]
    if not keys:
        return
    rows = [table.run_rows(before, [row], backward=True)[1] for row in range(certified.problem.rows)]
    got = {key: np.array([each[table.vector_at["dparams", key[1]]] for each in rows]) for key in keys}
    truth = {key: total(certified.truth, key) for key in keys}
    allowed = {key: certified.rounding.of_all(table.dtype, key) for key in keys}
    names = path_names("all outputs", certified.problem, ", row by row")
    right |= certificate.compare_paths(
        table.form, names, got, truth, allowed, certified.method, certified.problem.places
    )


def _check_together(
    certificate: Certificate,
    table: Table,
    certified: Certified,
    before: Tables,
    right: dict[Key, bool],
) -> None:
    """The sum over all outputs: written to gates, added to everything else."""
    after = table.run_rows(before, slice(None), backward=True)
    names = path_names("all outputs", certified.problem)
    for key in (key for key, correct in right.items() if correct):
        truth, allowed = total(certified.truth, key), certified.rounding.of_all(table.dtype, key)
        if key[0] == "param":
            truth, allowed = truth.sum(), allowed.sum(axis=0)
        kind, by, places = "d" + IN[key[0]], certified.method, certified.problem.places
        got = table.block(after, kind, key[1])
        if key[0] != "gate":
            start, by = table.block(before, kind, key[1]).astype(np.float64), "what was there + " + by
            off = np.abs(got - truth.middle), np.abs(got - truth.middle - start)
            if np.mean((off[0] <= allowed) & (off[1] > allowed) & (off[1] > 0.1)) > 0.5:
                certificate.fail(table.form, names[key], "written, not added: the hook must add to what is there")
                continue
            truth = truth + Bounds.exactly(start)
        allowed = allowed + 4 * np.finfo(table.dtype).eps  # of the sum
        certificate.compare(table.form, names[key], got, truth, allowed, by, places)


def _check_untouched(
    certificate: Certificate,
    problem: Problem,
    table: Table,
    before: Tables,
    after: Tables,
    written: set[Key],
    backward: bool,
) -> None:
    """Blocks that the hook may only read, or that belong to other stages, keep their bits: vectors, too."""
    name = hook_name("backward" if backward else "forward", problem.stage.name)
    columns, vectors = (_bits_alike(one, other) for one, other in zip(before, after))
    same: Any = columns.all(axis=0).tolist(), vectors.tolist()
    places = {key: same[0][at] for key, at in table.at.items()} | {k: same[1][at] for k, at in table.vector_at.items()}
    changed = [key for key, each in places.items() if key not in written and not all(each)]
    for kind, block in changed:
        certificate.fail(table.form, f"{name}, {kind} {block}{problem.remark}", "changed: the hook may not write there")
    if not changed:
        certificate.check(table.form, f"{name}, nothing else is touched{problem.remark}", True, "")


def _check_rows(
    certificate: Certificate, problem: Problem, table: Table, before: Tables, after: Tables, backward: bool
) -> None:
    """Other contents of row 0, NaN there, and another number and order of rows do not change a bit of the others.

    A twin may round otherwise: NumPy sums a product of another number of rows in another order.
    """
    same_rows = _same_bits if table.form.startswith("kernel") else _same_but_rounding
    name, rows = hook_name("backward" if backward else "forward", problem.stage.name), before[0]
    every, alone = np.arange(problem.rows), problem.different[: 2 if problem.remark else None, None]
    parts = (*alone, *(() if problem.remark else batches(problem.rows)), every[::-1], every)
    steady = all(same_rows(table.run_rows(before, part, backward)[0], after[0][part]) for part in parts)
    faults = {"a row depends on the number of rows": steady}
    for fault, row_0 in (
        ("row 0 changes other rows", rows[:1] * np.asarray(0.5, rows.dtype)),
        ("NaN in row 0 changes other rows", np.full_like(rows[:1], np.nan)),
    ):
        tables = np.concatenate([row_0, rows[1:]]), before[1].copy()
        table.run(tables, backward)
        faults[fault] = same_rows(tables[0][1:], after[0][1:])
    for fault, same in faults.items():
        certificate.check(table.form, f"{name}, rows: {fault}{problem.remark}", same, "the rows are not kept apart")
    if problem.contract.elementwise:
        _check_units(certificate, problem, table, before, after, backward)


def _check_units(
    certificate: Certificate, problem: Problem, table: Table, before: Tables, after: Tables, backward: bool
) -> None:
    """Units of an elementwise cell: the hook gives the same bits for the first by themselves, then for the others."""
    names = [name for kind in problem.contract.blocks.values() for name in kind]
    widths = {problem.widths[name] for name in names}
    if len(widths) > 1 or max(widths) < 2 or not table.form.startswith("kernel"):
        return
    name, (width,) = hook_name("backward" if backward else "forward", problem.stage.name), widths
    tables = before[0].copy(), before[1].copy()
    for first, n in ((0, width // 2), (width // 2, width - width // 2)):
        places = {kind: [(at + first, n) for at, _ in each] for kind, each in table.places[backward].items()}
        SideBySide(table.capsule, table.number, backward, table.dtype, places)(*tables)
    same = _same_bits(tables[0], after[0]) and _same_bits(tables[1], after[1])
    fault = "a unit depends on others, or on how many there are: the cell must say elementwise = False"
    certificate.check(table.form, f"{name}, units{problem.remark}", same, fault)


def _same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal bit by bit; any NaN equals any NaN."""
    return bool(_bits_alike(one, other).all())


def _bits_alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray((one == other) | ((one != one) & (other != other)))


def _same_but_rounding(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal up to roundings of sums; any NaN equals any NaN."""
    same = _bits_alike(one, other)
    scale = np.abs(np.where(np.isfinite(other), other, 0)).max(axis=-1, keepdims=True, initial=1.0)
    with np.errstate(invalid="ignore"):
        return bool((same | (np.abs(one - other) <= VALUES[one.dtype.name] * scale)).all())
