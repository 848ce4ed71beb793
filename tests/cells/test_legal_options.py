"""Options of a cell have legal values, and a certificate names those that were given."""

import numpy as np
import pytest

import pylstm
from pylstm import certify
from pylstm.cells import Cell, tanh
from pylstm.plugins import registry


def test_every_number_of_a_bundled_cell_has_bounds():
    """A step below 0 or beyond all numbers is refused by its name, by the layer, the cell and the factory."""
    numbers = [
        (entry.cell, name)
        for entry in registry().entries()
        for name, value in entry.cell.options.items()
        if entry.cell.__module__.startswith("pylstm") and isinstance(value, float)
    ]
    assert len(numbers) >= 9
    for cell, name in numbers:
        for wrong in (-1.0, 1e300):
            for call in (cell.with_options, lambda cell=cell, **options: pylstm.Recurrent(cell.name, 3, 5, **options)):
                with pytest.raises(
                    ValueError, match=f"option {name} must be at (least|most) .*, got {wrong:g}".replace("+", r"\+")
                ):
                    call(**{name: wrong})
        low, high = cell.domain[name]
        for legal in (low, high):
            assert pylstm.Recurrent(cell.name, 3, 5, **{name: legal}).cell.options[name] == legal


def test_a_certificate_names_the_options_that_were_given():
    def backward(d, y, o):
        return {"a": d.h * (1 - y.h * y.h) * o.factor}

    body = {"states": ("h",), "gates": {"a": "x+h"}, "options": {"factor": 1.0}, "backward": backward}
    cell = type(Cell)("Times", (Cell,), body | {"forward": lambda z: {"h": np.tanh(z.a)}})
    assert "'times'" in certify(cell).message()
    with pytest.raises(
        pylstm.CertificationError, match=r"cell 'times\(factor=2\.0\)': \d+ of \d+ paths (is|are) wrong"
    ):
        pylstm.Recurrent(cell, 3, 5, factor=2)


def test_defaults_are_legal():
    body = {"states": ("h",), "gates": {"a": "x+h"}, "forward": lambda z, o: {"h": o.rate * tanh(z.a)}}
    for rate in (0.0, 1.0):
        cell = type(Cell)("Rated", (Cell,), body | {"options": {"rate": rate}, "domain": {"rate": (0, 1)}})
        assert cell.with_options(rate=0.5).options == {"rate": 0.5}
    with pytest.raises(TypeError, match="cell 'rated': option rate must be at most 1, got 2"):
        type(Cell)("Rated", (Cell,), body | {"options": {"rate": 2.0}, "domain": {"rate": (0, 1)}})
