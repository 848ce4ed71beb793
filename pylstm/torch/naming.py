"""Names of the parameters of a module: PyTorch's for the cells that it has, ours for all others.

A naming says, of one layer and direction, which arrays a module has for it, in which order (`shapes`), writes them
into the parameters of the layer that computes (`join`), and takes gradients out of those of that layer (`split`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from pylstm.checks import Array
from pylstm.layers.inputs.protocols import SingleLayer
from pylstm.parameters import Parameters

Shapes = dict[str, tuple[int, ...]]


class Naming(Protocol):
    """How the arrays of a module stand for the parameters of a layer."""

    def shapes(self, leaf: SingleLayer) -> Shapes:
        """Name -> shape of the arrays of a module."""

    def join(self, arrays: Sequence[Array], params: Parameters) -> None:
        """Set `params` of a layer from the arrays of a module."""

    def split(self, params: Mapping[str, Array]) -> list[Array]:
        """The arrays, or their gradients, of a module from `params` of a layer; no two overlap."""

    def frozen(self, trained: Sequence[bool], leaf: SingleLayer) -> list[str]:
        """The parameters of a layer all of whose arrays are held; `trained`: which arrays of the module are not."""


class OwnNames:
    """The names and arrays of the layer itself: ``weight_x``, ``weight_h``, ``bias``, ..., but for `constants`."""

    def __init__(self, constants: Sequence[str]) -> None:
        self.constants = constants

    def shapes(self, leaf: SingleLayer) -> Shapes:
        """Name -> shape of the arrays of a module."""
        shapes = leaf.params.shapes
        return {name: shapes[name] for name in self._trained(shapes)}

    def join(self, arrays: Sequence[Array], params: Parameters) -> None:
        """Set `params` of a layer from the arrays of a module."""
        partly = params.constant_rows
        for name, array in zip(self._trained(params), arrays):
            if name in partly:
                params.set_trained(name, array)
            else:
                params[name][...] = array

    def split(self, params: Mapping[str, Array]) -> list[Array]:
        """The arrays, or their gradients, of a module from `params` of a layer; no two overlap."""
        return [params[name] for name in self._trained(params)]

    def frozen(self, trained: Sequence[bool], leaf: SingleLayer) -> list[str]:
        """The parameters of a layer all of whose arrays are held; `trained`: which arrays of the module are not."""
        return [name for name, each in zip(self._trained(leaf.params), trained) if not each]

    def _trained(self, names: Iterable[str]) -> Iterable[str]:
        return [name for name in names if name not in self.constants] if self.constants else names


class TorchNames:
    """``weight_ih``, ``weight_hh``, ``bias_ih``, ``bias_hh``, ``weight_hr``, whose rows are in the order of our gates.

    A bias of ours is the sum of both of PyTorch's, so each has its whole gradient. Not of the candidate of a GRU, whose
    recurrent part is scaled by the reset gate: our gate ``n`` has the bias fed with x, and ``m`` the one fed with h.
    """

    def __init__(self, apart: bool) -> None:
        self.apart = apart  # the last of the gates of x, and the last of those of h, share no bias: r, z, m, n

    def shapes(self, leaf: SingleLayer) -> Shapes:
        """Name -> shape of the arrays of a module."""
        have = leaf.params.shapes
        shapes = {"weight_ih": have["weight_x"], "weight_hh": have["weight_h"]}
        if "bias" in have:
            shapes |= {"bias_ih": have["weight_x"][:1], "bias_hh": have["weight_x"][:1]}
        if "weight_m" in have:
            shapes["weight_hr"] = have["weight_m"]
        return shapes | {name: shape for name, shape in have.items() if name.startswith("initial_")}

    def join(self, arrays: Sequence[Array], params: Parameters) -> None:
        """Set `params` of a layer from the arrays of a module."""
        at = 2
        params["weight_x"][...], params["weight_h"][...] = arrays[0], arrays[1]
        if "bias" in params.names:
            self._add(arrays[2], arrays[3], params["bias"])
            at = 4
        if at < len(arrays):
            rest = (name for name in params if name == "weight_m" or name.startswith("initial_"))
            for name, array in zip(rest, arrays[at:]):
                params[name][...] = array

    def split(self, params: Mapping[str, Array]) -> list[Array]:
        """The arrays, or their gradients, of a module from `params` of a layer; no two overlap."""
        out = [params["weight_x"], params["weight_h"]]
        if "bias" in params:
            bias, width = params["bias"], len(out[0])
            both = self._shared(width)
            of_x = np.concatenate([bias[:both], bias[-(width - both) :]]) if self.apart else bias
            out += [of_x, bias[:width].copy()]  # never the same memory twice: a gradient may be changed in place
        return out + [params[name] for name in params if name == "weight_m" or name.startswith("initial_")]

    def frozen(self, trained: Sequence[bool], leaf: SingleLayer) -> list[str]:
        """The parameters of a layer all of whose arrays are held; `trained`: which arrays of the module are not."""
        ours = {"weight_ih": "weight_x", "weight_hh": "weight_h", "weight_hr": "weight_m"}
        ours |= dict.fromkeys(("bias_ih", "bias_hh"), "bias")
        free = {ours.get(name, name) for name, each in zip(self.shapes(leaf), trained) if each}
        return [name for name in leaf.params if name not in free]

    def _add(self, of_x: Array, of_h: Array, bias: Array) -> None:
        if not self.apart:
            np.add(of_x, of_h, out=bias)
            return
        both, width = self._shared(len(of_x)), len(of_x)
        np.add(of_x[:both], of_h[:both], out=bias[:both])
        bias[both:width], bias[width:] = of_h[both:], of_x[both:]

    def _shared(self, width: int) -> int:
        """Rows, of `width`, whose biases are added."""
        return width * 2 // 3 if self.apart else width


def naming_of(cell: str, torch_names: bool, constants: Sequence[str]) -> Naming:
    """PyTorch's names of one of its cells, or ours; `constants`: of the cell, which are no parameters of a module."""
    return TorchNames(apart=cell == "gru") if torch_names else OwnNames(constants)


def suffix_of(k: int, directions: int) -> str:
    """``_l0``, ``_l0_reverse``: PyTorch's suffix of the names of single layer `k`.

    Examples
    --------
    >>> suffix_of(3, 1), suffix_of(3, 2)
    ('_l3', '_l1_reverse')
    """
    return f"_l{k // directions}" + "_reverse" * (k % directions)
