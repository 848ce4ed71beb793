"""What a module of `pylstm.torch` cannot take, refused with what to do instead."""

from __future__ import annotations

from typing import Any

import torch

from pylstm.checks import check_size, quoted

DTYPES = (torch.float32, torch.float64)


class WrongShape(ValueError, RuntimeError):
    """A tensor of another shape: `RuntimeError` with PyTorch, `ValueError` in pylstm."""


class WrongDtype(TypeError, ValueError):
    """A tensor of another dtype than the weights: `ValueError` with PyTorch, `TypeError` in pylstm."""


def check_count(name: str, value: Any) -> int:
    """`value` as an integer of at least 1.

    Raises
    ------
    TypeError, ValueError
        Not an integer; below 1, or too large.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be greater than zero, got {value}")
    return check_size(name, value)


def check_bool(name: str, value: Any) -> bool:
    """`value`, a bool.

    Raises
    ------
    TypeError
        Not a bool.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")
    return value


def check_dtype(name: str, dtype: Any) -> None:
    """Refuse dtypes that the engine does not compute in.

    Raises
    ------
    TypeError
        Half precision, complex numbers, integers.
    """
    if dtype in DTYPES:
        return
    cure = "convert it with .float() or .double()"
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"{name} must be torch.float32 or torch.float64, got {dtype!r}")
    if dtype in (torch.float16, torch.bfloat16):
        cure = "compute in float32: call .float() on the module and on what it is called with"
    elif getattr(dtype, "is_complex", False):
        cure = "pass the real and the imaginary part as features, torch.view_as_real(x).flatten(-2)"
    raise TypeError(f"{name} must be float32 or float64, got {dtype}: {cure}")


def check_device(name: str, device: Any) -> None:
    """Refuse devices other than the CPU ("meta" computes shapes).

    Raises
    ------
    TypeError
        Another device.
    """
    if device.type not in ("cpu", "meta"):
        raise TypeError(
            f"{name} must be on the CPU, where pylstm runs, got {device}: move what comes in with .cpu() and what "
            f"comes out with .to('{device}'), or use torch.nn for this layer"
        )


def as_tensor(name: str, value: Any, what: str) -> Any:
    """`value` as a tensor.

    Raises
    ------
    TypeError
        Neither a tensor nor a list of numbers: it must be `what`.
    """
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be {what}, got {quoted(value)}") from error


def check_tensor(name: str, value: Any, shape: tuple[Any, ...], dtype: Any) -> None:
    """Refuse what is not a tensor of `shape` (a str stands for any size) and of the weights' `dtype`.

    Raises
    ------
    TypeError, ValueError
        Not a tensor, another dtype or device; another shape.
    """
    if (
        type(value) is torch.Tensor
        and value.is_cpu
        and value.layout is torch.strided
        and value.dtype is dtype
        and value.dim() == len(shape)
        and all(n == m or isinstance(n, str) for n, m in zip(shape, value.shape))
    ):
        return
    if not isinstance(value, torch.Tensor):
        cure = ": torch.from_numpy(array)" if hasattr(value, "__array__") else ""
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}{cure}")
    check_device(name, value.device)
    if value.layout not in (torch.strided, torch.jagged):
        raise TypeError(f"{name} must be a dense tensor, got the layout {value.layout}: convert it with .to_dense()")
    if value.dtype != dtype:
        _refuse_dtype(name, value.dtype, dtype)
    if value.dim() != len(shape) or any(not isinstance(n, str) and n != m for n, m in zip(shape, value.shape)):
        expected = ", ".join(str(n) for n in shape)
        remark = ""
        if name.startswith("hx"):
            remark = "Expected hidden states of another size: "
        elif name == "input" and value.dim() == len(shape):
            remark = "input.size(-1) must be equal to input_size: "
        raise WrongShape(f"{remark}{name} must have shape ({expected}), got {tuple(value.shape)}")


def _refuse_dtype(name: str, got: Any, dtype: Any) -> None:
    if got in (torch.float16, torch.bfloat16) or got.is_complex:
        check_dtype(name, got)
    if got not in DTYPES:
        raise WrongDtype(f"{name} must be {dtype}, as the weights, got {got}: convert it with .to({dtype})")
    if name == "input":
        raise WrongDtype(
            f"RNN input dtype ({got}) does not match weight dtype ({dtype}). "
            f"Convert input: input.to({dtype}), or convert model: model.to({got})"
        )
    raise WrongDtype(
        f"{name} is {got}, but the weights are {dtype}: convert it with .to({dtype}), or the module with .to({got})"
    )
