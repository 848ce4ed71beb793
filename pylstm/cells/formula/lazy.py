"""Formulas become twins on first use, so that defining a cell costs next to nothing."""

from __future__ import annotations

from typing import Any

from pylstm.cells.contracts.stages import hook_name


class Lazy:
    """A class attribute that is derived when it is first read: `contract`, `keep`, `forward`, `backward`."""

    def __init__(self, name: str):
        self.name = name

    def __get__(self, instance: Any, cell: Any) -> Any:
        if self.name not in _names(cell):  # a parent's hook, of a stage that this cell does not have
            raise AttributeError(f"cell {cell.name!r} has no hook {self.name}", name=self.name, obj=cell)
        complete(cell)
        return getattr(cell, self.name)


def install(cell: Any) -> None:
    """Make the twins, `keep` and `contract` of a formula cell lazy."""
    for name in _names(cell):
        setattr(cell, name, Lazy(name))


def _names(cell: Any) -> list[str]:
    hooks = [hook_name(way, stage) for stage in cell.formulas for way in ("forward", "backward")]
    return ["contract", "keep", *hooks]


def complete(cell: Any) -> None:
    """Derive the formulas of `cell`; put twins, `keep` and `contract` in place of the lazy attributes."""
    from pylstm.cells.formula.derivation import derive
    from pylstm.cells.formula.emission.numpy import compile_twin

    cell._remember_constants()
    derivation = derive(cell)
    cell._forget_written()
    for stage in derivation.stages.values():
        forward, backward = compile_twin(derivation.contract, stage)
        setattr(cell, hook_name("forward", stage.stage.name), staticmethod(forward))
        setattr(cell, hook_name("backward", stage.stage.name), staticmethod(backward))
    cell._derivation = derivation
    cell.keep = derivation.contract.keep
    cell.contract = derivation.contract
