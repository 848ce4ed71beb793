"""Exchange with other libraries, of which none is needed: weights of PyTorch and Keras, operators of ONNX."""

from typing import TYPE_CHECKING

from pylstm.hints import absent

if TYPE_CHECKING:
    from pylstm.interop import keras as keras
    from pylstm.interop import onnx as onnx
    from pylstm.interop import torch as torch

__all__ = ["keras", "onnx", "torch"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__, {name: f"{__name__}.{name}" for name in __all__})
