"""`RecurrentModule`: what all modules are, parameters and a call."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from pylstm.cells.contracts.options import changed
from pylstm.checks import check_flag, check_names, check_share
from pylstm.hints import callers_level
from pylstm.layers.runs.run import KINDS
from pylstm.torch.constants import HoldsConstants
from pylstm.torch.door import call
from pylstm.torch.engines import Description, described, engine_for
from pylstm.torch.refusals import DTYPES, as_tensor, check_bool, check_count, check_device, check_dtype, check_tensor


class RecurrentModule(HoldsConstants):
    """A module over layers of pylstm; made as `LSTM`, `GRU`, `RNN` or `Recurrent`."""

    def __init__(self, description: Description, batch_first: bool, dropout: float, device: Any, dtype: Any) -> None:
        super().__init__()
        self.dropout = float(check_share("dropout", dropout))
        if self.dropout and description.num_layers == 1:
            message = f"dropout={self.dropout} acts between layers: with num_layers=1 it does nothing"
            warnings.warn(message, stacklevel=callers_level())
        dtype = torch.get_default_dtype() if dtype is None else dtype
        check_dtype("dtype", dtype)
        check_device("device", torch.get_default_device() if device is None else torch.device(device))
        self._description, self._engine = description, engine_for(description)
        self.input_size, self.hidden_size = description.input_size, description.hidden_size
        self.num_layers, self.bias = description.num_layers, description.bias
        self.batch_first = check_bool("batch_first", batch_first)
        self.bidirectional = description.bidirectional
        self.output_size = self._engine.output_size
        for shapes in self._engine.shapes:
            for name, shape in shapes.items():
                empty = torch.empty(shape, device=device, dtype=dtype)
                self.register_parameter(name, torch.nn.Parameter(empty))
        self._register_constants(device, dtype)
        self.reset_parameters()

    @property
    def cell(self) -> str:
        """Name of the cell."""
        return str(self._description.cell.name)

    def to_pylstm(self) -> Any:
        """A layer of pylstm, or a stack, with a copy of the weights: for `pylstm.save`, ONNX and C files, streams.

        Returns
        -------
        Recurrent, Stack or Bidirectional
            Of the dtype of the parameters, with the same cell, ``batch_first`` and ``dropout``, which acts in training
            only: a stack is in the mode of the module. Parameters
            that require no gradient are frozen there.

        Examples
        --------
        >>> import torch, pylstm.torch
        >>> module = pylstm.torch.Recurrent("peephole", 3, 5)
        >>> layer, x = module.to_pylstm(), torch.ones(7, 2, 3)
        >>> bool((layer(x.numpy()).y == module(x)[0].detach().numpy()).all())
        True
        """
        every = self.all_weights
        dtype = str(every[0][0].dtype).removeprefix("torch.")
        options = {"dropout": self.dropout} if self.num_layers > 1 else {}
        layer = self._description.layer(dtype, batch_first=self.batch_first, **options)
        for leaf, weights in zip(layer.recurrents, every, strict=True):
            self._engine.naming.join([each.detach().numpy() for each in weights], leaf.params)
            leaf.params.set_frozen(self._engine.naming.frozen([each.requires_grad for each in weights], leaf))
        if options:
            layer.train(self.training)
        return layer

    @property
    def all_weights(self) -> list[list[torch.nn.Parameter]]:
        """The parameters by single layer, as of ``torch.nn.LSTM``."""
        return [[self._weight(name) for name in shapes] for shapes in self._engine.shapes]

    @property
    def _all_weights(self) -> list[list[str]]:
        """Their names, which scripts read that set the bias of the forget gate."""
        return [list(shapes) for shapes in self._engine.shapes]

    def _weight(self, name: str) -> Any:
        """A parameter, or the tensor that a reparametrisation has put in its place."""
        found = self._parameters.get(name)
        if found is None and (found := getattr(self, name, None)) is None:
            shape = self._engine.shape_of[name]
            raise RuntimeError(
                f"the {type(self).__name__} has no parameter {name}, which was deleted or set to None: set "
                f"module.{name} = torch.nn.Parameter(...) of shape {shape}, or make the module anew"
            )
        return found

    @property
    def _flat_weights_names(self) -> list[str]:
        return list(self._engine.shape_of)

    @property
    def _flat_weights(self) -> list[Any]:
        """The list of ``torch.nn.LSTM``, where tools read it; None for one that was deleted."""
        return [getattr(self, name, None) for name in self._flat_weights_names]

    def reset_parameters(self) -> None:
        """Draw all parameters anew, from PyTorch's generator: those of PyTorch's cells as PyTorch does."""
        weights = [weight for each in self.all_weights for weight in each]
        if weights[0].is_meta:
            return
        seed = int(torch.randint(2**62, ()))
        values = self._engine.initial_parameters(str(weights[0].dtype).removeprefix("torch."), seed)
        with torch.no_grad():
            for weight, value in zip(weights, values):
                weight.copy_(torch.from_numpy(value))
        self._hold_constants()

    def flatten_parameters(self) -> None:
        """Nothing to do: the weights are packed once in each call."""

    def forward(
        self,
        input: Any,
        hx: Any = None,
        *,
        lengths: Any = None,
        reset: Any = None,
        aux: Any = None,
        pre: Any = None,
        blend: Any = None,
    ) -> Any:
        """Run the layers over a batch of sequences.

        Parameters
        ----------
        input : Tensor, shape (T, B, input_size), or PackedSequence
            (B, T, input_size) with `batch_first`, (T, input_size) for a single sequence. Of the dtype of the weights.
        hx : Tensor, or tuple of Tensor by state, optional
            Initial states, (layers times directions, B, width) each: a tuple for a cell of several states, in which
            None stands for a state that is not given; those are 0, or learned.
        lengths : Tensor or list of int, shape (B,), optional
            Steps of each row; what stands beyond is not looked at, and the output is 0 there.
        reset : Tensor of bool, shape (T, B), optional
            Where True, the row starts anew before that step; (B, T) with `batch_first`.
        aux, pre, blend : dict of str to Tensor, or list of such, optional
            Inputs of the cell at every step, factors on the previous states, and shares of the new ones, (T, B, width);
            (B, T, width) with `batch_first`. See `pylstm.Recurrent`. Of several layers or directions a list with one
            for each, or None.

        Returns
        -------
        output : Tensor, shape (T, B, directions times output width), or PackedSequence
            As `input`.
        h_n : Tensor, or tuple of Tensor by state
            Final states, in the shape of `hx`.

        Raises
        ------
        TypeError
            Not a tensor, another dtype or device than the weights'.
        ValueError
            Another shape.
        """
        packed = input if isinstance(input, PackedSequence) else None
        if packed is not None:
            self._refuse_with_packed(lengths=lengths, reset=reset, aux=aux, pre=pre, blend=blend)
            rows = PackedSequence(packed.data, packed.batch_sizes)  # sorted by length: the lengths are those of the run
            input, lengths = pad_packed_sequence(rows)
            hx = self._each_state(hx, lambda state: _permuted(state, packed.sorted_indices))
        single = packed is None and getattr(input, "ndim", 0) == 2
        axis = int(self.batch_first and packed is None and not single)
        if (
            self._engine.has_constants
            and not torch.compiler.is_compiling()
            and not torch._C._len_torch_dispatch_stack()
        ):
            self._hold_constants(buffers=False)
        run = self._run if torch._C._get_tracing_state() is None else self._recorded
        y, *finals = run(input, hx, (lengths, reset, (aux, pre, blend)), single, axis)
        if packed is not None:
            data = pack_padded_sequence(y, lengths).data
            y = PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
            finals = [_permuted(state, packed.unsorted_indices) for state in finals]
        return y, finals[0] if len(finals) == 1 else tuple(finals)

    def _run(self, x: Any, hx: Any, others: Any, single: bool, axis: int) -> list[Any]:
        """(y, final states) of arrays as the caller has them: one sequence, or with the batch along the first axis."""
        names = self._engine.shape_of
        weights = [self._parameters.get(name) for name in names]
        if any(weight is None for weight in weights):
            weights = [self._weight(name) for name in names]
        dtype = weights[0].dtype
        if dtype not in DTYPES:
            check_dtype("the module", dtype)
        for (name, shape), weight in zip(names.items(), weights):
            if weight.shape != shape or weight.dtype != dtype:  # a parameter that was replaced
                check_tensor(name, weight, shape, dtype)
        if not weights[0].is_cpu:
            check_device("the module", weights[0].device)
        if weights[0].is_meta and not x.is_meta:
            cure = "module.to_empty(device='cpu') and load_state_dict give it some"
            raise RuntimeError(f"the module is on the device 'meta', without values: {cure}")
        if torch.is_autocast_enabled("cpu"):
            x, hx = _in_full(x, dtype), self._each_state(hx, lambda state: _in_full(state, dtype))
        steps = ("T",) if single else ("B", "T") if axis else ("T", "B")
        check_tensor("input", x, (*steps, self.input_size), dtype)

        def by_steps(tensor: Any) -> Any:
            return tensor.unsqueeze(1) if single else tensor.transpose(0, 1) if axis else tensor

        steps = x.shape[:-1]
        x = by_steps(x)
        given = {} if hx is None else self._take_states(hx, x, single)
        if any(each is not None for each in others[2]):
            given |= self._take_steps(others[2], steps, dtype, by_steps)
        given |= self._take_flags(others[0], others[1], steps, by_steps)
        y, *finals = call(self._engine, x, weights, given)
        if single:
            return [y.squeeze(1), *(state.squeeze(1) for state in finals)]
        return [y.transpose(0, 1) if axis else y, *finals]

    def _recorded(self, *arguments: Any) -> list[Any]:
        """`_run` where `torch.jit.trace` records, without its warnings of comparisons: those are checks of shapes."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            return self._run(*arguments)

    def _take_states(self, hx: Any, x: Any, single: bool) -> dict[str, Any]:
        engine, given = self._engine, {}
        states = self._each_state(hx, lambda state: state)
        for name, state in zip(engine.states, states if isinstance(states, tuple) else (states,)):
            if state is not None:
                rows = () if single else (x.shape[1],)
                where = "hx" if len(engine.states) == 1 else f"hx[{engine.states.index(name)}]"
                check_tensor(where, state, (len(engine.leaves), *rows, engine.widths[name]), x.dtype)
                given[f"initial.{name}"] = state.unsqueeze(1) if single else state
        return given

    def _each_state(self, hx: Any, change: Any) -> Any:
        """`change` of every state that is given, in the form in which `hx` has them."""
        count = len(self._engine.states)
        if hx is None:
            return None
        if count == 1:
            if isinstance(hx, tuple | list):
                raise TypeError(f"hx must be one tensor for the cell {self.cell!r}, got a {type(hx).__name__}")
            return change(hx)
        if not isinstance(hx, tuple | list) or len(hx) != count:
            got = f"{len(hx)}" if isinstance(hx, tuple | list) else type(hx).__name__
            names = ", ".join(self._engine.states)
            raise TypeError(f"hx must be a tuple of {count} tensors ({names}) for the cell {self.cell!r}, got {got}")
        return tuple(None if state is None else change(state) for state in hx)

    def _take_steps(self, kinds: tuple[Any, ...], steps: tuple[int, ...], dtype: Any, by_steps: Any) -> dict[str, Any]:
        """`aux`, `pre`, `blend`."""
        given, count = {}, len(self._engine.leaves)
        for kind, values in zip(KINDS, kinds):
            each = values if isinstance(values, list | tuple) else [values]
            if values is not None and len(each) != count:
                raise ValueError(f"{kind} must be a list with one dict, or None, for each of {count} layers")
            for k, blocks in enumerate(each):
                contract = self._engine.leaves[k].cell.contract
                if blocks is not None:
                    check_names(kind, blocks, contract.aux if kind == "aux" else contract.states)
                for name, tensor in (blocks or {}).items():
                    what = f"{kind}[{name!r}]"
                    check_tensor(what, tensor, (*steps, "width"), dtype)
                    one = ".1" if tensor.shape[-1] == 1 else ""
                    given[f"{kind}.{k}.{name}{one}"] = by_steps(tensor)
        return given

    def _take_flags(self, lengths: Any, reset: Any, steps: tuple[int, ...], by_steps: Any) -> dict[str, Any]:
        """What has no gradient."""
        given = {}
        if reset is not None:
            reset = as_tensor("reset", reset, "a tensor of bool")
            if reset.dtype != torch.bool:
                raise TypeError(f"reset must be a tensor of bool, got {reset.dtype}: pass reset != 0")
            check_tensor("reset", reset, tuple(steps), torch.bool)
            given["reset"] = by_steps(reset)
        if lengths is not None:
            if len(steps) == 1:
                raise ValueError("lengths needs a batch of sequences: input must have 3 axes, got 2")
            given["lengths"] = lengths = as_tensor("lengths", lengths, "a tensor or list of integers, one for each row")
            if lengths.dtype.is_floating_point or lengths.dtype.is_complex or lengths.dtype == torch.bool:
                raise TypeError(f"lengths must be integers, got {lengths.dtype}: pass lengths.long()")
        if self.training and self.dropout and self.num_layers > 1:
            given["dropout"], given["seed"] = (
                torch.full((1,), self.dropout, dtype=torch.float64),
                torch.randint(2**62, (1,)),
            )
        return given

    def _refuse_with_packed(self, **others: Any) -> None:
        for name, value in others.items():
            if value is not None:
                raise ValueError(f"{name}: not with a PackedSequence; pass the padded batch and lengths= in its place")

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """What ``.to``, ``.double``, ``.cuda`` and so on do to all tensors."""
        probe = torch.empty(0, dtype=next((each.dtype for each in self.parameters()), None))
        try:
            probe = fn(probe)
        except (AssertionError, RuntimeError) as error:
            kind = type(self).__name__
            raise TypeError(
                f"{kind} cannot be moved there, since pylstm runs on the CPU ({error}): keep it there, and move what "
                "comes in with .cpu(), or use torch.nn for this layer"
            ) from error
        check_device("the module", probe.device)
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, Any]:
        """All but the layers: of a registered cell only plain values, which ``torch.load`` reads with weights_only."""
        state = {name: value for name, value in self.__dict__.items() if name != "_engine"}
        if self._description.is_registered:
            state["_description"] = self._description.key
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if isinstance(self._description, str):
            self._description = described(self._description)
        self._engine = engine_for(self._description)

    def extra_repr(self) -> str:
        """Arguments that are not the default."""
        usual = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        unusual = [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        description = self._description
        sizes = [f"{name}={value}" for name, value in (*changed(description.cell).items(), *description.sizes)]
        sizes += [f"learn_initial={description.learn_initial}"] if description.learn_initial else []
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *sizes, *unusual])


def describe(
    cell: Any,
    input_size: int,
    hidden_size: int,
    num_layers: int,
    bias: bool,
    bidirectional: bool,
    learn_initial: bool | Iterable[str],
    sizes: Mapping[str, Any],
    torch_names: bool,
) -> Description:
    """The description of a module's layers, from the arguments of its class."""
    if not isinstance(learn_initial, bool | list | tuple | set | frozenset):
        raise TypeError(f"learn_initial must be True, False or a list of names of states, got {learn_initial!r}")
    return Description(
        cell,
        check_count("input_size", input_size),
        check_count("hidden_size", hidden_size),
        check_count("num_layers", num_layers),
        check_flag("bidirectional", bidirectional),
        check_bool("bias", bias),
        learn_initial if isinstance(learn_initial, bool) else tuple(learn_initial),
        torch_names,
        tuple(sizes.items()),
    )


def _permuted(state: Any, order: Any) -> Any:
    """Rows of a state in another order."""
    return state if state is None or order is None else state.index_select(1, order)


def _in_full(tensor: Any, dtype: Any) -> Any:
    """What an operation of half precision left under autocast, in the dtype of the weights."""
    half = isinstance(tensor, torch.Tensor) and tensor.dtype in (torch.float16, torch.bfloat16)
    return tensor.to(dtype) if half else tensor
