"""`Parts`: the arrays, types and memory of a net in C, which every part of its file names."""

from __future__ import annotations

import zlib

import numpy as np

from pylstm.export.layers import LayerCode, packed_columns
from pylstm.export.net import Net

MAGIC = b"pylstmw1"
"""First bytes of a file of weights; the size of a number (uint32) and a checksum (uint32) follow, then the numbers."""


class Parts:
    """The net as the C file sees it.

    Parameters
    ----------
    net : Net
    name : str
        Prefix of all names.
    header : bool
        For microcontrollers: rows instead of vectors, everything static.
    beside : bool
        The weights are in a file of their own.
    """

    def __init__(self, net: Net, name: str, *, header: bool, beside: bool) -> None:
        self.net, self.name, self.header, self.beside = net, name, header, beside
        self.dtype = net.dtype
        self.real = "float" if self.dtype == np.float32 else "double"
        self.layers = [LayerCode(each, k, self.dtype, packed=not header) for k, each in enumerate(net.layers)]
        self.group = self.layers[0].group
        self.arrays = self._arrays()

    def _arrays(self) -> dict[str, np.ndarray]:
        """Name -> numbers of the dtype of the net."""
        found: dict[str, np.ndarray] = {}
        if self.net.table is not None:
            found["embedding"] = self.net.table.ravel()
        for layer in self.layers:
            found |= layer.arrays()
        for number, each in enumerate(self.net.maps):
            weight = np.zeros((self.padded(each.out_features), each.in_features), self.dtype)
            weight[: each.out_features] = each.params["weight"]
            bias = np.zeros(len(weight), self.dtype)
            if each.bias:
                bias[: each.out_features] = each.params["bias"]
            found[f"head{number}_bias"] = bias
            found[f"head{number}_weight"] = weight.ravel() if self.header else packed_columns(weight, self.group)
        return {name: array.astype(self.dtype) for name, array in found.items()}

    @property
    def weights(self) -> bytes:
        """The file of weights."""
        numbers = b"".join(array.astype(self.dtype.newbyteorder("<")).tobytes() for array in self.arrays.values())
        head = np.array([self.dtype.itemsize, zlib.crc32(numbers)], "<u4")
        return MAGIC + head.tobytes() + numbers

    def padded(self, width: int) -> int:
        """Elements of an array of so many: whole groups."""
        return -(-width // self.group) * self.group

    @property
    def input_type(self) -> str:
        """C type of the numbers that a step takes."""
        return "int32_t" if self.net.table is not None else "double" if self.net.x_scale is not None else self.real

    @property
    def output_type(self) -> str:
        """C type of the numbers that a step returns."""
        return "double" if self.net.y_scale is not None else self.real

    @property
    def aux(self) -> list[tuple[LayerCode, str, int]]:
        """Per-step inputs behind the input, and where each starts."""
        found, at = [], self.net.inputs
        for layer in self.layers:
            for name in layer.aux:
                found.append((layer, name, at))
                at += layer.layer.widths[name]
        return found

    @property
    def inputs(self) -> int:
        """Numbers that a step takes."""
        return self.net.inputs + sum(layer.layer.widths[name] for layer, name, _ in self.aux)

    @property
    def features(self) -> int:
        """Width of what the head sees."""
        return int(self.net.layers[-1].output_size)

    @property
    def copies_input(self) -> bool:
        """Whether the first layer cannot read the caller's array."""
        return self.net.x_scale is not None or "x" in self.layers[0].contract.aux

    def fields(self) -> list[tuple[str, int]]:
        """Arrays of the scratch."""
        found = {"z": max(layer.z for layer in self.layers)}
        for layer in self.layers:
            for name, room in layer.scratch().items():
                found[name] = max(found.get(name, 0), room)
        rooms = [self.padded(layer.layer.input_size) for layer in self.layers]
        if self.copies_input:
            found["x"] = rooms[0]
        if any(self.net.residual):
            found["sum"] = max(self.padded(layer.layer.output_size) for layer in self.layers)
        for number, each in enumerate(self.net.maps):
            found[f"head{number}"] = self.padded(each.out_features)
        if self.net.read == "mean":
            found["features"] = self.padded(self.features)
        return [(name, room) for name, room in found.items() if room]

    @property
    def counts(self) -> bool:
        """Whether the read-out goes over all steps."""
        return self.net.read in ("mean", "max")

    @property
    def top(self) -> str:
        """The C name of the output of the last layer."""
        return "net->scratch.sum" if self.net.residual[-1] else self.layers[-1].output
