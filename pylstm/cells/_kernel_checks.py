"""A compiled kernel, stage by stage: its values against the twin's, its derivatives against the true ones, its manners.

All blocks of a stage lie side by side in one array, a row of which is a batch row. So "nothing else was touched" and
"the rows stay apart" are comparisons of whole arrays, bit by bit, and no block is contiguous.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.cells._hooks import describe, run_stage
from pylstm.cells._problem import ROWS, Certified, Key, Problem
from pylstm.cells.certificate import Certificate
from pylstm.cells.contract import hook_name

VALUES = {"float64": 1e-12, "float32": 2e-6}
GRADIENTS = {"float64": 1e-11, "float32": 1e-5}
IN = {"gate": "gates", "previous": "prev", "emission": "emissions", "aux": "aux", "param": "params"}
TAPE = {"gate": "gates", "keep": "keep", "emission": "emissions", "state": "states"}
LABEL = {"gates": "gate", "prev": "previous", "emissions": "emission", "states": "new", "params": "param"}


class Table:
    """The blocks of a stage: where each lies, and the hook that works on them.

    `rows` is an array (ROWS, all widths); `vectors` holds the parameters and their cotangents. Both are NaN wherever
    nothing is put, so that what a kernel must not read shows in its results, and what it does not write as well.
    """

    def __init__(self, problem: Problem, capsule: Any, dtype: str, form: str) -> None:
        contract = problem.contract
        self.capsule, self.dtype, self.form, self.number = capsule, dtype, form, problem.number
        forward = {"prev": contract.states} | contract.blocks
        backward = {"d" + kind: names for kind, names in forward.items() if kind != "keep"}
        self.names = (forward, forward | backward)
        self.at: dict[Key, slice] = {}
        self.vector_at: dict[Key, slice] = {}
        self.widths = [0, 0]
        for kind, names in self.names[1].items():
            vector = kind.endswith("params")
            for name in names:
                end = self.widths[vector] + problem.widths[name]
                (self.vector_at if vector else self.at)[kind, name] = slice(self.widths[vector], end)
                self.widths[vector] = end

    def empty(self) -> tuple[np.ndarray, np.ndarray]:
        """`rows` and `vectors`, all NaN."""
        return np.full((ROWS, self.widths[0]), np.nan, self.dtype), np.full(self.widths[1], np.nan, self.dtype)

    def block(self, tables: tuple[np.ndarray, np.ndarray], kind: str, name: str) -> np.ndarray:
        """One block, a view: (rows, width), of parameters (width,)."""
        rows, vectors = tables
        return vectors[self.vector_at[kind, name]] if kind.endswith("params") else rows[:, self.at[kind, name]]

    def run(self, tables: tuple[np.ndarray, np.ndarray], backward: bool) -> None:
        """Call the hook, in place."""
        blocks = {
            kind: [self.block(tables, kind, name) for name in each] for kind, each in self.names[backward].items()
        }
        run_stage(self.capsule, self.number, backward, blocks)


def certify_kernel(
    certificate: Certificate, capsule: Any, certified: Certified, dtype: str | None, remark: str = ""
) -> None:
    """All checks of one stage of a kernel, for `dtype` or for all that it offers."""
    offered = describe(capsule)["dtypes"]
    if not offered or (dtype and dtype not in offered):
        certificate.fail("kernel", "dtypes", f"it offers {', '.join(offered) or 'neither float32 nor float64'}")
        return
    for each in (dtype,) if dtype else offered:
        table = Table(certified.problem, capsule, each, f"kernel {each}{remark}")
        try:
            _certify_forward(certificate, table, certified)
            _certify_backward(certificate, table, certified)
        except TypeError as error:  # a hook that is not there
            certificate.fail(table.form, "hooks", str(error))


def _filled(table: Table, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    tables = table.empty()
    for (kind, name), value in problem.inputs.items():
        table.block(tables, IN[kind], name)[:] = value
    return tables


def _certify_forward(certificate: Certificate, table: Table, certified: Certified) -> None:
    """Values, what is left untouched, and the rows."""
    form, name = table.form, hook_name("forward", certified.problem.stage.name)
    before = _filled(table, certified.problem)
    after = _copy(before)
    table.run(after, backward=False)
    for (kind, value_name), expected in certified.tape.items():
        label = f"{LABEL.get(TAPE[kind], kind)} {value_name}"
        got = table.block(after, TAPE[kind], value_name)
        certificate.compare(form, label, got, expected, VALUES[table.dtype], "twin")
    written = {(TAPE[kind], value_name) for kind, value_name in certified.tape}
    _check_untouched(certificate, name, table, before, after, written)
    _check_rows(certificate, name, table, before, after, backward=False)


def _certify_backward(certificate: Certificate, table: Table, certified: Certified) -> None:
    """Derivatives of each output alone, then all together onto blocks that are not zero; untouched blocks; rows."""
    problem, form = certified.problem, table.form
    tolerance = max(GRADIENTS[table.dtype], certified.tolerance)
    before = _filled(table, problem)
    for (kind, name), value in certified.tape.items():
        table.block(before, TAPE[kind], name)[:] = value
    outputs = {name: table.block(before, "dstates" if problem.last else "demissions", name) for name in problem.d}
    added = [key for key in problem.inputs if key[0] != "gate"]

    right = dict.fromkeys(problem.inputs, True)
    for kind, name in added:
        table.block(before, "d" + IN[kind], name)[:] = 0
    for output in problem.d:
        for name, block in outputs.items():
            block[:] = problem.d[name] if name == output else 0
        after = _copy(before)
        table.run(after, backward=True)
        got = {key: table.block(after, "d" + IN[key[0]], key[1]) for key in problem.inputs}
        truth = {
            key: value.sum(axis=0) if key[0] == "param" else value for key, value in certified.truth[output].items()
        }
        for key, correct in certificate.compare_paths(form, output, got, truth, tolerance, certified.method).items():
            right[key] &= correct

    random = np.random.default_rng(7)
    for name, block in outputs.items():
        block[:] = problem.d[name]
    for kind, name in added:
        block = table.block(before, "d" + IN[kind], name)
        block[:] = random.uniform(0.3, 0.9, block.shape)
    after = _copy(before)
    table.run(after, backward=True)
    _check_together(certificate, table, certified, before, after, right, tolerance)
    name = hook_name("backward", problem.stage.name)
    written = {("d" + IN[kind], each) for kind, each in problem.inputs}
    _check_untouched(certificate, name, table, before, after, written)
    _check_rows(certificate, name, table, before, after, backward=True)


def _check_together(
    certificate: Certificate,
    table: Table,
    certified: Certified,
    before: tuple[np.ndarray, np.ndarray],
    after: tuple[np.ndarray, np.ndarray],
    right: dict[Key, bool],
    tolerance: float,
) -> None:
    """The sum over all outputs: written to gates, added to everything else."""
    for key, correct in right.items():
        if not correct:
            continue
        total = sum(each[key] for each in certified.truth.values())
        total = total.sum(axis=0) if key[0] == "param" else total
        kind, path = "d" + IN[key[0]], f"d all outputs / d {' '.join(key)}"
        got = table.block(after, kind, key[1])
        if key[0] == "gate":
            certificate.compare(table.form, path, got, total, tolerance, certified.method)
            continue
        start = table.block(before, kind, key[1]).astype(np.float64)
        if np.abs(got - total).max() <= tolerance:
            certificate.fail(table.form, path, "written, not added: the hook must add to what is there")
        else:
            certificate.compare(table.form, path, got, start + total, tolerance, "what was there + " + certified.method)


def _check_untouched(
    certificate: Certificate,
    name: str,
    table: Table,
    before: tuple[np.ndarray, np.ndarray],
    after: tuple[np.ndarray, np.ndarray],
    written: set[Key],
) -> None:
    """Blocks that the hook may only read, or that belong to other stages, keep their bits."""
    places = [key for key in (*table.at, *table.vector_at) if key not in written]
    changed = [key for key in places if not _same_bits(table.block(before, *key), table.block(after, *key))]
    for kind, block in changed:
        certificate.fail(table.form, f"{name}, {kind} {block}", "changed: the hook may not write there")
    if not changed:
        certificate.check(table.form, f"{name}, nothing else is touched", True, "")


def _check_rows(
    certificate: Certificate,
    name: str,
    table: Table,
    before: tuple[np.ndarray, np.ndarray],
    after: tuple[np.ndarray, np.ndarray],
    backward: bool,
) -> None:
    """Other contents of row 0, NaN there, and another number of rows do not change a bit of the other rows."""
    rows, vectors = before
    for fault, start, row_0 in (
        ("row 0 changes other rows", 0, rows[:1] * np.asarray(0.5, rows.dtype)),
        ("NaN in row 0 changes other rows", 0, np.full_like(rows[:1], np.nan)),
        ("a row depends on the number of rows", 1, rows[1:2]),
    ):
        tables = np.concatenate([row_0, rows[start + 1 :]]), vectors.copy()
        table.run(tables, backward)
        same = _same_bits(tables[0][1 - start :], after[0][1:])
        certificate.check(table.form, f"{name}, rows: {fault}", same, "the rows are not kept apart")


def _copy(tables: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return tables[0].copy(), tables[1].copy()


def _same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal bit by bit; any NaN equals any NaN."""
    return bool(((one == other) | ((one != one) & (other != other))).all())
