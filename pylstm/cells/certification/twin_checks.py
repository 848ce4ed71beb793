"""The twin of one stage against differences of its own forward: at every place, in every batch, at every scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from pylstm.cells.certification import problem as problems
from pylstm.cells.certification.certificate import Certificate
from pylstm.cells.certification.certified import (
    NOTHING_YET,
    SCALES,
    Certified,
    Cotangents,
    batches,
    parts_of,
    path_names,
)
from pylstm.cells.certification.derived import excuse
from pylstm.cells.certification.dtypes import certify_dtypes
from pylstm.cells.certification.problem import CORE, DOMAINS, RANGES, Inputs, Problem, tape_of
from pylstm.cells.certification.rounding import GRADIENTS, follows, rounding, total
from pylstm.cells.certification.shaken import steady
from pylstm.cells.certification.truth import Bounds, along, derivatives
from pylstm.cells.contracts.constants import held_constants
from pylstm.cells.contracts.stages import Stage, hook_name
from pylstm.cells.twin import call, hook
from pylstm.cells.widths import Widths

LITTLE = 1e-3


class TwinChecks:
    """The functions of one stage of a cell's twin, and where they are looked at."""

    def __init__(self, certificate: Certificate, cell: Any, stage: Stage) -> None:
        self.certificate, self.cell, self.contract, self.stage = certificate, cell, cell.contract, stage
        self.forward, self.backward = (hook(cell, way, stage.name) for way in ("forward", "backward"))
        self.names = [hook_name(way, stage.name) for way in ("forward", "backward")]
        self.positive: tuple[str, ...] = ()
        self.method = ""
        self.derived = stage.name in cell.formulas

    def run(self, widths: Widths) -> list[Certified]:
        """All checks at `widths`; what is true there, once for each range of the parameters. Empty if unusable."""
        if self.forward is None:
            self.certificate.fail("twin", self.names[0], f"the cell defines no `{self.names[0]}`")
            return []
        try:
            problem = self._first_problem(widths)
            found = [self._look_at(problem)] if problem else []
            for k, size in enumerate(RANGES["param"] if self.contract.params and found else (), 1):
                places = problems.few_places(self.contract, self.stage)
                problem = self._finite(self._draw(widths, places, k, size, f", params {size}"))
                if problem.rows:
                    found.append(self._look_at(problem))
                else:
                    note = f"{self.names[0]} is not finite where params are {size}: not certified there"
                    self.certificate.notes.append(note)
        except Exception as error:  # a twin is the user's code: whatever it raises is a finding
            self.certificate.fail("twin", self.names[0], f"raises {type(error).__name__}: {error}")
            return []
        if self.method == "differences":
            self.certificate.notes.append(
                f"{self.names[0]} does not take complex steps in places: central differences were used there"
            )
        if self.backward is None:
            self.certificate.notes.append(f"no {self.names[1]}: the twin has no derivatives to certify")
        return [self._certified(certified) for certified in found]

    def _draw(
        self, widths: Widths, places: list[Any], seed: int, params: str = "moderate", remark: str = ""
    ) -> Problem:
        seed = 20240 + 100 * self.contract.stages.index(self.stage) + seed
        held = held_constants(self.cell, widths)
        return problems.draw(self.contract, self.stage, widths, places, self.positive, params, remark, seed, held)

    def _first_problem(self, widths: Widths) -> Problem | None:
        problem = self.choose_domain(widths)
        if not self._is_complete(problem.take(range(CORE))):
            return None
        problem = self._finite(problem)
        self._certify_rows(problem)
        return problem

    def choose_domain(self, widths: Widths) -> Problem:
        """All places, in the first of `DOMAINS` where forward is finite and float32 can follow it."""
        places, first = problems.all_places(self.contract, self.stage), None
        for self.positive in DOMAINS:
            problem = self._draw(widths, places, 0)
            out = call(self.forward, **problem.spaces(problem.inputs))
            if _finite_rows(problem, out)[:CORE].all():
                core = problem.take(range(CORE))
                if not self._complete(core) or follows(core, self.forward):
                    return problem
                first = first or problem
        return first or problem

    def _finite(self, problem: Problem) -> Problem:
        """The rows where forward is finite; a note on places where it nowhere is."""
        finite = _finite_rows(problem, call(self.forward, **problem.spaces(problem.inputs)))
        gone = {*problem.places} - {place for place, there in zip(problem.places, finite) if there}
        if gone and not problem.remark:
            where = "; or ".join(place for place in dict.fromkeys(problem.places) if place in gone)
            self.certificate.notes.append(f"{self.names[0]} is not finite where {where}: not certified there")
        return problem.take(np.flatnonzero(finite))

    def _faults(self, problem: Problem) -> Iterator[tuple[str, str]]:
        """(name, what is wrong) of what forward returns: all that it must, nothing else, right shapes, finite."""
        out = call(self.forward, **problem.spaces(problem.inputs))
        allowed = {*self.stage.gates, *self.contract.keep, *problem.d}
        yield from ((key, "must be returned") for key in problem.d if key not in out)
        yield from ((key, "is not a gate, kept value or output of this stage") for key in out if key not in allowed)
        for key in allowed & out.keys():
            expected = (problem.rows, problem.widths[key])
            if np.shape(out[key]) != expected:
                yield key, f"shape {np.shape(out[key])}, expected {expected}"
            elif not np.isfinite(out[key]).all():
                yield key, "is not finite on random numbers between 0.3 and 0.9"

    def _complete(self, problem: Problem) -> bool:
        return not any(self._faults(problem))

    def _is_complete(self, problem: Problem) -> bool:
        faults = list(self._faults(problem))
        for key, fault in faults:
            self.certificate.fail("twin", f"{self.names[0]}, {key}", fault)
        if not faults:
            self.certificate.check("twin", f"{self.names[0]}, names and shapes", True, "")
        return not faults

    def _certify_rows(self, problem: Problem) -> None:
        """NaN in row 0, and calls with other numbers of rows, leave every row what it is."""

        def run(problem: Problem) -> dict[Any, np.ndarray]:
            return call(self.forward, **problem.spaces(problem.inputs))

        full, disturbed = run(problem), run(replace(problem, inputs=nan_in_row_0(problem)))
        apart = all(_same(full[key][1:], disturbed[key][1:]) for key in full)
        parts = (*problem.different[:, None], *batches(problem.rows))
        steady = all(_same(full[key][part], value) for part in parts for key, value in run(problem.take(part)).items())
        for fault, right in (
            ("NaN in row 0 changes other rows", apart),
            ("a row depends on the number of rows", steady),
        ):
            self.certificate.check("twin", f"{self.names[0]}, rows: {fault}", right, "the rows are not kept apart")

    def _look_at(self, problem: Problem, long: bool = False) -> Certified:
        tape = tape_of(problem, call(self.forward, **problem.spaces(problem.inputs)))
        truth, method = derivatives(problem, self.forward, long, elementwise=self.derived)
        self.method = max(self.method, method)  # "differences" after "complex steps"
        return Certified(problem, tape, truth, method, NOTHING_YET)

    def carefully(self, certified: Certified, dtype: str) -> Certified:
        """Repeat `certified` for what failed in `dtype`: the rows that no rounding decides, with small kinks at 0."""
        if certified.method != "twin":
            truth = self._look_at(certified.problem, long=True).truth
            certified = replace(certified, truth=truth)
            if self.derived:
                excuse(certified, self.forward, self._cotangents, self.names[1], [])
        return certified.take(np.flatnonzero(steady(certified.problem, self.forward, dtype)))

    def _note_lost(self, certified: Certified, output: str, got: Cotangents) -> None:
        """A note on the places where a cotangent is not finite: there, training ends in NaN."""
        for key, bounds in certified.truth[output].items():
            lost = np.flatnonzero((~np.isfinite(got[key]) & ~bounds.sharp).any(axis=1))
            if len(lost) and not certified.problem.remark:
                places = dict.fromkeys(certified.problem.places[row] or "no input is special" for row in lost)
                note = f"{self.names[1]}: d {output} / d {' '.join(key)} is not finite where {'; or '.join(places)}"
                self.certificate.notes.append(note)

    def _certified(self, certified: Certified) -> Certified:
        """Repeat with what a kernel is allowed; the first problem that backward fails at is the last.

        Complex steps share the rounding of forward, whose sums may cancel: what is wrong by little only has a second
        chance, against complex steps in long double.
        """
        problem, certificate = certified.problem, self.certificate
        if not self.derived:  # a formula cannot ask for the dtype
            certify_dtypes(certificate, problem, self.forward)
        if self.backward is None or not certificate.ok:
            return replace(certified, rounding=rounding(problem, self.forward, None, certified.truth, self.derived))
        paths, notes = len(certificate.paths), len(certificate.notes)
        found = self._certify_backward(certified)
        if not certificate.ok and all(path.error < LITTLE for path in certificate.failures):
            first = certificate.paths[paths:], certificate.notes[notes:]
            del certificate.paths[paths:], certificate.notes[notes:]
            found = self._certify_backward(self._look_at(problem, long=True))
            if not certificate.ok:
                certificate.paths[paths:], certificate.notes[notes:] = first
        return found

    def _certify_backward(self, certified: Certified) -> Certified:
        try:
            if self.derived:
                excuse(certified, self.forward, self._cotangents, self.names[1], self.certificate.notes)
            allowed = rounding(certified.problem, self.forward, self.backward, certified.truth, self.derived)
            certified = replace(certified, rounding=allowed)
            self._certify_alone(certified)
        except Exception as error:  # as in forward
            self.certificate.fail("twin", self.names[1], f"raises {type(error).__name__}: {error}")
            allowed = rounding(certified.problem, self.forward, None, certified.truth, self.derived)
            certified = replace(certified, rounding=allowed)
        return certified

    def _certify_alone(self, certified: Certified) -> None:
        problem, compare, method = certified.problem, self.certificate.compare_paths, certified.method
        zero = {output: np.zeros_like(d) for output, d in problem.d.items()}
        alone = {output: self._cotangents(certified, zero | {output: d}) for output, d in problem.d.items()}
        together = self._cotangents(certified, problem.d)
        self._certify_names(problem, together)
        right = dict.fromkeys(problem.inputs, True)
        for output, got in alone.items():
            names = path_names(output, problem)
            allowed = certified.rounding.gradients["float64"][output]
            found = compare("twin", names, got, certified.truth[output], allowed, method, problem.places)
            self._note_lost(certified, output, got)
            right = {key: right[key] and found[key] for key in right}
        returned = {key for key in problem.inputs if right[key] and key[1] in together.returned}
        for remark, rows, factor, got in self._in_many_ways(certified, together):
            some = certified if rows is None else certified.take(rows)
            truth = {key: total(some.truth, key) * factor for key in problem.inputs if key in returned}
            allowed = {key: some.rounding.of_all("float64", key) * factor for key in truth}
            names = path_names("all outputs", problem, remark)
            found = compare("twin", names, got, truth, allowed, method, some.problem.places)
            returned = {key for key in returned if found[key]}

    def _in_many_ways(self, certified: Certified, together: Cotangents) -> Iterator[tuple[str, Any, float, Cotangents]]:
        """(remark, rows, factor, cotangents): all outputs; row by row; in batches; with other cotangents; once more."""
        d = certified.problem.d
        yield "", None, 1.0, together
        if certified.problem.remark:
            return
        alone = certified.problem.different[:, None]
        for remark, parts in ((", row by row", alone), (", in batches", list(batches(certified.problem.rows)))):
            if len(parts):
                each = [self._cotangents(part, part.problem.d) for part in map(certified.on, parts)]
                yield remark, np.concatenate(parts), 1.0, Cotangents.joined(each)
        calm = certified.take(certified.problem.calm)
        for remark, factor in SCALES.items():
            scaled = {name: problems.taken(value * factor, slice(None)) for name, value in calm.problem.d.items()}
            yield f", cotangents {remark}", certified.problem.calm, factor, self._cotangents(calm, scaled)
        masked = [self._cotangents(certified, _masked(d, some)) for some in parts_of(certified.problem)]
        yield ", cotangents of 0 in places", None, 1.0, Cotangents.added(masked)
        yield ", called again", None, 1.0, self._cotangents(certified, d)

    def _cotangents(self, certified: Certified, d: dict[str, np.ndarray]) -> Cotangents:
        """What the twin's backward returns; zeros for what it does not."""
        problem = certified.problem
        spaces = problem.spaces(problem.inputs) | {"y": {name: value for (_, name), value in certified.tape.items()}}
        del spaces["z"]
        out = call(self.backward, **spaces, d=d)
        zeros = {key: np.zeros((problem.rows, width)) for key, width in problem.input_widths.items()}
        return Cotangents({key: out.get(key[1], zero) for key, zero in zeros.items()}, tuple(out))

    def _certify_names(self, problem: Problem, together: Cotangents) -> None:
        known = {key[1] for key in problem.inputs}
        if problem.remark:
            return
        for extra in sorted({*together.returned} - known):
            self.certificate.fail("twin", f"{self.names[1]}, {extra}", "is not an input of this stage")
        for gate in self.stage.gates:
            if gate not in together.returned:
                fault = "the cotangent of every gate of the stage must be returned"
                self.certificate.fail("twin", f"{self.names[1]}, {gate}", fault)

    def at_width(self, widths: Widths, remark: str) -> Certified | None:
        """The twin at other widths, along random directions; what it says there. None where that cannot be.

        Each input is moved along one direction, all its units at once, so that many units cost no more than few.
        """
        if self.backward is None:
            return None
        try:
            places = problems.few_places(self.contract, self.stage)
            problem = self._finite(self._draw(widths, places, len(remark), remark=remark))
            tape = tape_of(problem, call(self.forward, **problem.spaces(problem.inputs)))
            if not problem.rows:
                raise ValueError("forward is not finite")
        except Exception as error:
            self.certificate.notes.append(f"not certified with{remark.lstrip(',')}: {type(error).__name__}: {error}")
            return None
        certified = Certified(problem, tape, {}, "twin", NOTHING_YET)
        try:
            zero = {output: np.zeros_like(d) for output, d in problem.d.items()}
            truth = {
                output: {key: Bounds.exactly(a) for key, a in self._cotangents(certified, zero | {output: d}).items()}
                for output, d in problem.d.items()
            }
            allowed = rounding(problem, self.forward, self.backward, truth, self.derived)
            certified = replace(certified, truth=truth, rounding=allowed)
            self._certify_along(certified)
        except Exception as error:
            self.certificate.fail("twin", f"{self.names[1]}{remark}", f"raises {type(error).__name__}: {error}")
            return None
        return certified

    def _certify_along(self, certified: Certified) -> None:
        """Row by row: the derivative of forward along a random direction of each input is backward times that."""
        problem, random = certified.problem, np.random.default_rng(1)
        got = self._cotangents(certified, problem.d)
        names, out = path_names("all outputs", problem), call(self.forward, **problem.spaces(problem.inputs))
        for key, width in problem.input_widths.items():
            direction = random.uniform(0.3, 0.9, width) * random.choice([-1.0, 1.0], width)
            direction = direction * np.minimum(1, np.abs(problem.inputs[key]))  # no step crosses 0
            if np.shape(got[key]) != (problem.rows, width):
                fault = f"shape {np.shape(got[key])}, expected {(problem.rows, width)}"
                self.certificate.fail("twin", names[key], fault)
                continue
            truth, slack = (each[:, None] for each in along(problem, self.forward, out, key, direction, self.method))
            ours = got[key] * direction
            if self.derived:  # as in `excuse`
                slack = np.where(np.isfinite(ours).all(axis=-1, keepdims=True), slack, np.inf)
            size = np.nan_to_num(np.abs(ours), nan=0, posinf=0).sum(axis=-1, keepdims=True)
            scale = np.maximum(1, size)
            allowed = GRADIENTS["float64"] * scale + width * certified.rounding.of_all("float64", key)
            bounds = Bounds(truth - slack, truth + slack) if slack.any() else Bounds.exactly(truth)
            ours = ours.sum(axis=-1, keepdims=True)
            self.certificate.compare("twin", names[key], ours, bounds, allowed, self.method, problem.places)


def _masked(d: dict[str, np.ndarray], some: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: problems.taken(value * some[name], slice(None)) for name, value in d.items()}


def nan_in_row_0(problem: Problem) -> Inputs:
    """The inputs with NaN in the first row."""
    return {
        key: array if key[0] == "param" else np.concatenate([np.full_like(array[:1], np.nan), array[1:]])
        for key, array in problem.inputs.items()
    }


def _finite_rows(problem: Problem, out: dict[str, Any]) -> np.ndarray:
    """Rows of which every value is finite; all, where the shapes are not even right."""
    finite = np.ones(problem.rows, bool)
    for value in map(np.asarray, out.values()):
        if value.ndim == 2 and len(value) == problem.rows:
            finite &= np.isfinite(value).all(axis=1)
    return finite


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal up to the last bits: NumPy may take another path through a shorter array."""
    if one.shape != other.shape:
        return False
    scale = 1 + np.abs(one).max(axis=-1, keepdims=True, initial=0.0)
    return bool((np.abs(one - other) <= 1e-12 * scale).all())
