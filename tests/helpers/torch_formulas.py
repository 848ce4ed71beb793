"""PyTorch for `formulas_beside`."""

from __future__ import annotations

import torch


def _grouped(a, groups):
    return a.reshape(*a.shape[:-1], groups, -1)


def across(op, a, width, groups):
    if op == "row_sum":
        return _grouped(a, width).sum(-1)
    if op == "row_max":
        return _grouped(a, width).amax(-1)
    if op == "logsumexp":
        return _grouped(a, width).logsumexp(-1)
    if op == "fill":
        return a.expand(*a.shape[:-1], width) if a.shape[-1] == 1 else a.repeat_interleave(width // a.shape[-1], -1)
    if op == "softmax":
        return _grouped(a, groups).softmax(-1).reshape(a.shape)
    if op == "cumsum":
        return _grouped(a, groups).cumsum(-1).reshape(a.shape)
    if op == "rcumsum":
        return _grouped(a, groups).flip(-1).cumsum(-1).flip(-1).reshape(a.shape)
    pieces = _grouped(a, groups)
    if op == "tile":
        return pieces.repeat(*[1] * (pieces.ndim - 1), width // a.shape[-1]).reshape(*a.shape[:-1], width)
    return pieces.reshape(*pieces.shape[:-1], -1, width // groups).sum(-2).reshape(*a.shape[:-1], width)  # fold


OPERATIONS = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "neg": torch.neg, "abs": torch.abs,
    "max": torch.maximum, "min": torch.minimum, "where": torch.where, "relu": torch.relu, "sigmoid": torch.sigmoid,
    "tanh": torch.tanh, "exp": torch.exp, "expm1": torch.expm1, "log": torch.log, "log1p": torch.log1p,
    "sqrt": torch.sqrt, "softplus": lambda a: torch.logaddexp(a, torch.zeros_like(a)), "power": torch.pow,
    "sin": torch.sin, "cos": torch.cos, "lt": torch.lt, "gt": torch.gt, "stop": torch.detach,
}  # fmt: skip

block_diagonal, stack = torch.block_diag, torch.stack


def array(values):
    return torch.tensor(values, dtype=torch.float64)


def broadcast(values, shape):
    return values.expand(*shape)
