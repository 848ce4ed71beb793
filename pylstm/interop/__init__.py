"""Exchange with other libraries, of which none is needed: their weights, whole models as files, models for River."""

from typing import TYPE_CHECKING

from pylstm.hints import absent

if TYPE_CHECKING:
    from pylstm.interop import cudnn as cudnn
    from pylstm.interop import flax as flax
    from pylstm.interop import haste as haste
    from pylstm.interop import keras as keras
    from pylstm.interop import nam as nam
    from pylstm.interop import onnx as onnx
    from pylstm.interop import river as river
    from pylstm.interop import rtneural as rtneural
    from pylstm.interop import torch as torch

__all__ = ["cudnn", "flax", "haste", "keras", "nam", "onnx", "river", "rtneural", "torch"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__, {name: f"{__name__}.{name}" for name in __all__})
