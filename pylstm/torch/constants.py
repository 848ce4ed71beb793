"""`HoldsConstants`: constants of a cell are buffers of a module, or rows of its weights, and keep their values."""

from __future__ import annotations

from typing import Any

import torch

from pylstm.torch.engines import Engine

NEARLY = {torch.float16: 1e-3, torch.bfloat16: 1e-2}
"""Share of the largest number by which constants differ that were stored in half precision."""


class HoldsConstants(torch.nn.Module):
    """A module with an engine, whose cell may have constants.

    The engine has them, too, and computes with its own: what changes those of the module, as weight decay does with
    rows of a weight, an initialiser, or rounding to half precision, changes no result, and is undone by the next call.
    """

    _engine: Engine

    def _register_constants(self, device: Any, dtype: Any) -> None:
        """Buffers for the constants that are no rows of a weight; `reset_parameters` has their values."""
        for name, shape in self._engine.constant_shapes.items():
            self.register_buffer(name, torch.empty(shape, device=device, dtype=dtype))

    def _hold_constants(self, buffers: bool = True) -> None:
        """Give the constants their values; not those of tensors that `torch.func.functional_call` has put there."""
        dtype = "float64" if self._own_dtype() == torch.float64 else "float32"
        for name, first, last, values in self._engine.constants(dtype):
            held = self._parameters.get(name, self._buffers.get(name) if buffers else None)
            own = isinstance(held, torch.nn.Parameter) or name in self._engine.constant_shapes
            if held is None or not own or held.is_meta or held.is_inference():
                continue
            rows, constant = held.data[first:last], torch.from_numpy(values).to(held.dtype)
            if not torch.equal(rows, constant):
                rows.copy_(constant)  # not a change that a backward pass would look for: no result depends on it

    def _own_dtype(self) -> Any:
        return next((each.dtype for each in self.parameters()), None)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        if self._engine.has_constants:
            self._hold_constants()
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *others: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *others)
        if self._engine.has_constants:
            others[-1].extend(self._other_constants(state_dict, prefix))
            self._hold_constants()

    def _other_constants(self, state_dict: Any, prefix: str) -> list[str]:
        """A sentence for each constant of `state_dict` that is not that of the cell."""
        found = []
        for name, first, last, values in self._engine.constants("float64"):
            there = state_dict.get(prefix + name)
            constant, held = torch.from_numpy(values), self._parameters.get(name, self._buffers.get(name))
            if not isinstance(there, torch.Tensor) or held is None or there.shape != held.shape or there.is_meta:
                continue
            apart = (there[first:last].to("cpu", torch.float64) - constant).abs().max().item()
            if not apart <= NEARLY.get(there.dtype, 1e-5) * constant.abs().max().item():
                where = f"rows {first} to {last - 1} of {prefix + name}" if name in self._parameters else prefix + name
                cell = self._engine.description.cell.name
                found.append(
                    f"{where}: a constant of the cell {cell!r}, from which the state dict differs by {apart:.3g}: make "
                    "the module with the cell, the sizes and the options that it was saved with"
                )
        return found
