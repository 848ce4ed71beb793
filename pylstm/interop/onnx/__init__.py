"""Whole models as ONNX files and back; the inputs W, R, B and P of the operators ``LSTM``, ``GRU`` and ``RNN``.

`export` and `import_model` need the extra ``onnx``, the others nothing.
"""

from typing import TYPE_CHECKING

from pylstm.hints import absent
from pylstm.interop.onnx.operators import CELLS, IGNORED, attributes, load_tensors, tensors

if TYPE_CHECKING:
    from pylstm.interop.onnx.exporting import export as export

__all__ = ["CELLS", "IGNORED", "attributes", "export", "load_tensors", "tensors"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__, {"export": "pylstm.interop.onnx.exporting"})
