"""`import_model`: an ONNX file as `ImportedModel`, whose recurrences, affine maps and convolutions are layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import helper, numpy_helper

from pylstm.files import open_to_read, path_text
from pylstm.interop.onnx.arithmetic import OPERATORS, Attributes
from pylstm.interop.onnx.parametric import PARAMETRIC

Run = Callable[..., Any]


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
        Not an ONNX file; operators that are not known here, or that compute what no cell does: all are named, and
        nothing has been run.

    Notes
    -----
    LSTM, GRU and RNN become layers with the cells of `CELLS`, of all directions and layouts, with ``sequence_lens``,
    initial states and peepholes; Gemm and MatMul with constant weights `Linear`; Conv over one axis a `Linear` of
    windows. What is elementwise, reduces, or moves elements is done in NumPy. ``Scan`` and ``Loop`` are refused.

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
    name = path_text(path)
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


class ImportedModel:
    """The graph of an ONNX file: its nodes in order, each a function of arrays.

    Attributes
    ----------
    inputs, outputs : tuple of str
        Names, in the order of the file.
    layers : list of layer
        The pylstm layers that hold its parameters, in the order of the nodes.
    """

    def __init__(self, proto: Any) -> None:
        graph = proto.graph
        _refuse_unknown(graph)
        opset = {each.domain: each.version for each in proto.opset_import}.get("", 1)
        held = {each.name for each in graph.initializer}
        self._wanted = {each.name: each.type.tensor_type for each in graph.input if each.name not in held}
        self.inputs, self.outputs = tuple(self._wanted), tuple(each.name for each in graph.output)
        with np.errstate(all="ignore"):
            self._steps = _Steps(graph, opset, {}, {"", *self.inputs})
        self.layers: list[Any] = self._steps.layers

    def __call__(self, x: Any) -> dict[str, np.ndarray]:
        """All outputs by name.

        Parameters
        ----------
        x : array_like, or dict of str to array_like
            The input, or all inputs by name where there are several.

        Raises
        ------
        TypeError, ValueError
            Other inputs than those of the file; another dtype or shape.
        """
        given = x if isinstance(x, Mapping) else {self.inputs[0]: x} if len(self.inputs) == 1 else {}
        if given.keys() != self._wanted.keys():
            got = ", ".join(given) if isinstance(x, Mapping) else type(x).__name__
            raise ValueError(f"the model takes a dict of {', '.join(self.inputs)}, got {got}")
        values: dict[str, Any] = {}
        for name, kind in self._wanted.items():
            values[name] = _check_input(name, np.asarray(given[name]), kind)
        with np.errstate(all="ignore"):
            self._steps.run(values)
        return {name: np.array(values[name]) for name in self.outputs}


class _Steps:
    """The nodes of a graph, or of a branch of an ``If``, in order.

    Parameters
    ----------
    graph : GraphProto
    opset : int
    constants : dict of str to ndarray
        What the graph sees of the one around it.
    known : set of str
        Names that stand before it.
    """

    def __init__(self, graph: Any, opset: int, constants: dict[str, Any], known: set[str]) -> None:
        self._opset = opset
        self._constants = constants | {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        self._known = known | self._constants.keys()
        self.outputs = [each.name for each in graph.output]
        self.layers: list[Any] = []
        self._steps: list[Callable[[dict[str, Any]], None]] = []
        for node in graph.node:
            if missing := [name for name in node.input if name not in self._known]:
                raise ValueError(f"{node.op_type} reads {missing[0]!r}, which nothing before it makes")
            self._known.update(node.output)
            self._take(node)

    def run(self, values: dict[str, Any]) -> None:
        """Add to `values`, by name, what the nodes make."""
        values.update(self._constants)
        for step in self._steps:
            step(values)

    def _take(self, node: Any) -> None:
        """A node as a step, or at once where all that it reads is constant."""
        if node.op_type == "If":
            self._steps.append(self._choice(node))
            return
        attributes = {each.name: _value(each) for each in node.attribute}
        if node.op_type == "Constant":
            (value,) = attributes.values()
            self._constants[node.output[0]] = np.asarray(value)
            return
        attributes |= {"opset": self._opset, "outputs": len(node.output)}
        constants = [self._constants.get(name) for name in node.input]
        make = PARAMETRIC.get(node.op_type)
        layered = make(node.op_type, attributes, constants) if make else None
        self.layers += getattr(layered, "layers", [])
        run, inputs, outputs = layered or OPERATORS[node.op_type], list(node.input), list(node.output)
        if all(name in self._constants for name in inputs if name):
            _run(self._constants, run, attributes, inputs, outputs)
        else:
            self._steps.append(lambda values: _run(values, run, attributes, inputs, outputs))

    def _choice(self, node: Any) -> Callable[[dict[str, Any]], None]:
        """An ``If``: one of two branches, which see all that stands before them."""
        branches = {each.name: _Steps(each.g, self._opset, self._constants, self._known) for each in node.attribute}
        self.layers += [layer for each in branches.values() for layer in each.layers]

        def step(values: dict[str, Any]) -> None:
            branch = branches["then_branch" if np.all(values[node.input[0]]) else "else_branch"]
            inner = dict(values)
            branch.run(inner)
            values.update(zip(node.output, (inner[name] for name in branch.outputs)))

        return step


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


def _run(values: dict[str, Any], run: Run, attributes: Attributes, inputs: list[str], outputs: list[str]) -> None:
    made = run(attributes, *(values[name] if name else None for name in inputs))
    values.update(zip(outputs, made if isinstance(made, tuple) else (made,)))


def _value(attribute: Any) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _check_input(name: str, array: np.ndarray, kind: Any) -> np.ndarray:
    """`array`, if it has the dtype and the shape that the file says."""
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
    if array.dtype != dtype:
        raise TypeError(f"{name} must be {dtype}, got {array.dtype}: convert it with {name}.astype('{dtype}')")
    if kind.HasField("shape"):
        axes = [axis.dim_value if axis.HasField("dim_value") else axis.dim_param or "?" for axis in kind.shape.dim]
        fits = len(axes) == array.ndim and all(isinstance(a, str) or a == n for a, n in zip(axes, array.shape))
        if not fits:
            raise ValueError(f"{name} must have shape ({', '.join(map(str, axes))}), got {array.shape}")
    return array
