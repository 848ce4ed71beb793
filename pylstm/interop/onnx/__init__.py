"""Whole models as ONNX files and back; the inputs W, R, B and P of the operators ``LSTM``, ``GRU`` and ``RNN``.

`export` and `import_model` need the extra ``onnx``, the others nothing.
"""

from typing import TYPE_CHECKING

from pylstm.hints import absent
from pylstm.interop.onnx.operators import CELLS, IGNORED, attributes, load_tensors, tensors

if TYPE_CHECKING:
    from pylstm.interop.onnx.exporting import export as export
    from pylstm.interop.onnx.importing import ImportedModel as ImportedModel
    from pylstm.interop.onnx.importing import import_model as import_model

__all__ = ["CELLS", "IGNORED", "ImportedModel", "attributes", "export", "import_model", "load_tensors", "tensors"]

if not TYPE_CHECKING:
    _IMPORTING = "pylstm.interop.onnx.importing"
    _LATER = {"export": "pylstm.interop.onnx.exporting", "ImportedModel": _IMPORTING, "import_model": _IMPORTING}
    __getattr__ = absent(__name__, _LATER)
