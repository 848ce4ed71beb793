"""`import_model`: an ONNX file as `ImportedModel`, whose recurrences, affine maps and convolutions are layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import helper

from pylstm.checks import quoted
from pylstm.files import open_to_read, path_text
from pylstm.hints import explained, explained_constructor
from pylstm.interop.onnx.arithmetic import OPERATORS
from pylstm.interop.onnx.nodes import Nodes
from pylstm.interop.onnx.parametric import PARAMETRIC
from pylstm.interop.onnx.plan import Plan
from pylstm.wording import ByName

MOST_PLANS = 8  # kept, of inputs of other shapes
MOST_BYTES = 1 << 22  # of inputs whose plan is kept


@explained()
def import_model(path: Any) -> ImportedModel:
    """Read a model from an ONNX file.

    Parameters
    ----------
    path : path

    Returns
    -------
    ImportedModel

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        Not an ONNX file; operators that are not known here: all are named, and nothing has been run.

    Notes
    -----
    LSTM, GRU and RNN become layers with the cells of `CELLS`, of all directions and layouts, with ``sequence_lens``,
    initial states and peepholes; for other activations, and a clip, with cells made for them. Gemm and MatMul with
    constant weights become `Linear`; Conv over one axis a `Linear` of windows. What is elementwise, reduces, or moves
    elements is done in NumPy. ``Scan`` and ``Loop`` are refused.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.interop.onnx import export
    >>> layer = pylstm.LSTM(3, 5, seed=0)
    >>> export(layer, "lstm.onnx")
    >>> model = import_model("lstm.onnx")
    >>> x = np.ones((7, 2, 3), "float32")
    >>> bool((model(x)["y"] == layer(x).y).all())
    True
    """
    name = path_text(path, "pylstm.interop.onnx.import_model(path) reads a file, onnx.save(proto, path) writes one")
    open_to_read(path).close()  # an error that says what to do
    try:
        proto = onnx.load(name)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise ValueError(f"{name}: not an ONNX file that can be read ({error})") from None
    if not proto.graph.node:
        raise ValueError(f"{name}: not an ONNX file: it holds no graph")
    try:
        return ImportedModel(proto)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from None


@explained_constructor
class Outputs(ByName):
    """The outputs of a model by name; a number that is no name is a position."""

    def __missing__(self, name: Any) -> Any:
        if not isinstance(name, int):
            return super().__missing__(name)
        if not -len(self) <= name < len(self):
            raise IndexError(f"the model has {len(self)} outputs ({', '.join(self)}), and none at {name}")
        return list(self.values())[name]


class ImportedModel:
    """The graph of an ONNX file: its nodes in order, each a function of arrays.

    A call lays out a plan for inputs of these shapes, which the next calls use: what depends on shapes alone is done
    once, and weights are packed once. Several threads may call one model.

    Attributes
    ----------
    inputs, outputs : tuple of str
        Names, in the order of the file.
    layers : list of layer
        The pylstm layers that hold its parameters, in the order of the nodes. After a change of theirs: `refresh`.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.interop.onnx import export
    >>> export(pylstm.GRU(3, 5, seed=0), "gru.onnx")
    >>> model = import_model("gru.onnx")
    >>> model.inputs, model.outputs, model.layers
    (('x',), ('y',), [GRU(3, 5, dtype='float32')])
    """

    def __init__(self, proto: Any) -> None:
        if not hasattr(proto, "graph"):
            raise TypeError(
                f"proto must be a ModelProto, as onnx.load(path) returns, got {quoted(proto)}: import_model(path) "
                "reads a file"
            )
        graph = proto.graph
        _refuse_unknown(graph)
        opset = {each.domain: each.version for each in proto.opset_import}.get("", 1)
        held = {each.name for each in graph.initializer}
        types = {each.name: each.type.tensor_type for each in graph.input if each.name not in held}
        self._wanted = {name: _wanted(kind) for name, kind in types.items()}
        self.inputs, self.outputs = tuple(self._wanted), tuple(each.name for each in graph.output)
        with np.errstate(all="ignore"):
            self._nodes = Nodes(graph, opset, {}, {"", *self.inputs})
        self.layers: list[Any] = list(self._nodes.layers)
        self._plans: dict[Any, list[Plan]] = {}

    def __call__(self, *inputs: Any) -> Outputs:
        """All outputs, by name and by position.

        Parameters
        ----------
        *inputs : array_like, or one dict of str to array_like
            The inputs in the order of the file, or all by name.

        Returns
        -------
        dict of str to ndarray
            In the order of the file; ``model(x)[0]`` is the first, too.

        Raises
        ------
        TypeError, ValueError
            Other inputs than those of the file; another dtype or shape.
        """
        by_name = len(inputs) == 1 and isinstance(inputs[0], Mapping)
        given = inputs[0] if by_name else dict(zip(self.inputs, inputs))
        if given.keys() != self._wanted.keys() or not (by_name or len(inputs) == len(self.inputs)):
            got = ", ".join(map(str, given)) if by_name else f"{len(inputs)} without names"
            wanted = ", ".join(self.inputs)
            raise ValueError(f"the model takes {wanted}, in this order or as a dict, got {got or 'none'}")
        arrays = [_check_input(name, np.asarray(given[name]), *kind) for name, kind in self._wanted.items()]
        with np.errstate(all="ignore"):
            key = tuple([array.shape for array in arrays]), self._choosing(arrays)
            try:
                plan = self._plans[key].pop()  # a plan serves one call at a time
            except (KeyError, IndexError):
                plan = self._new_plan(arrays)
                made, plan.first = plan.first, []
            else:
                made = plan.run(arrays)
        if sum([array.nbytes for array in arrays]) <= MOST_BYTES:
            self._plans.setdefault(key, []).append(plan)
        return Outputs(zip(self.outputs, made))

    def refresh(self) -> None:
        """Take the parameters that the layers have now."""
        self._plans.clear()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_plans": {}}

    def _choosing(self, arrays: list[np.ndarray]) -> tuple[int, ...] | None:
        """Values that may choose a branch: those of integers that come alone, if the graph has branches."""
        if not self._nodes.chooses:
            return None
        return tuple([int(array) for array in arrays if array.ndim == 0 and array.dtype.kind in "iub"])

    def _new_plan(self, arrays: list[np.ndarray]) -> Plan:
        while len(self._plans) >= MOST_PLANS:
            self._plans.pop(next(iter(self._plans)), None)
        given = dict(zip(self.inputs, arrays))
        choosing = self._nodes.chooses
        known = {n for n, a in given.items() if choosing and a.ndim == 0 and a.dtype.kind in "iub"}
        return Plan(self._nodes, given, known, self.outputs)


def _refuse_unknown(graph: Any) -> None:
    """`ValueError` with the names of all operators that are not known, in branches too."""
    known = {"Constant", "If", *OPERATORS, *PARAMETRIC}
    if unknown := sorted(_names(graph) - known):
        raise ValueError(
            f"the operators {', '.join(unknown)} are not known here: run the file with onnxruntime, or export it "
            f"without them (known: {', '.join(sorted(known))})"
        )


def _names(graph: Any) -> set[str]:
    names = {f"{each.domain}.{each.op_type}" if each.domain else each.op_type for each in graph.node}
    branches = [a.g for node in graph.node if node.op_type == "If" for a in node.attribute]
    return names.union(*(_names(each) for each in branches))


def _wanted(kind: Any) -> tuple[np.dtype, tuple[int | str, ...] | None]:
    """dtype and axes, as the file says; no axes: of any shape."""
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
    if not kind.HasField("shape"):
        return dtype, None
    axes = [axis.dim_value if axis.HasField("dim_value") else axis.dim_param or "?" for axis in kind.shape.dim]
    return dtype, tuple(axes)


def _check_input(name: str, array: np.ndarray, dtype: np.dtype, axes: tuple[int | str, ...] | None) -> np.ndarray:
    """`array`, if it has the dtype and the shape that the file says."""
    if array.dtype != dtype:
        raise TypeError(f"{name} must be {dtype}, got {array.dtype}: convert it with {name}.astype('{dtype}')")
    if axes is not None:
        fits = len(axes) == array.ndim and all(isinstance(a, str) or a == n for a, n in zip(axes, array.shape))
        if not fits:
            raise ValueError(f"{name} must have shape ({', '.join(map(str, axes))}), got {array.shape}")
    return array
