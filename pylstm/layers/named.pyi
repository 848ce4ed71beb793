from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Self, TypedDict, Unpack, overload

from pylstm.cells.cell import Cell
from pylstm.checks import Dtype, Seed
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.layers.stack import Stack

# mypy: disable-error-code="misc"
# `__new__` returns a Stack as well, by intent: checkers doubt it here and take its word where it is called.
# Mypy would rather take `__init__` where a class has both, so for it that stands in a base alone. Pyright asks both:
# the last `__new__` leaves what is not a Stack to `__init__`, and a derived class may have one with other arguments.

MYPY = False  # mypy takes it for True

_Several = Literal[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]  # of any other int they know that it may be one
_Residual = bool | Iterable[bool]

class _Options(TypedDict, total=False):
    dropout: float
    bias: bool
    batch_first: bool
    dtype: Dtype
    seed: Seed
    learn_initial: bool | Iterable[str]
    certified: bool

class _LSTMOptions(_Options, total=False):
    proj_size: int

class _GRUOptions(_Options, total=False):
    reset_after: bool

class _RNNOptions(_Options, total=False):
    nonlinearity: Literal["tanh", "relu", "linear"]

class _OneOrSeveral(RecurrentLayer):
    def __init__(
        self, cell: str | type[Cell], input_size: int, hidden_size: int, num_layers: int = 1, **options: Any
    ) -> None: ...

class Recurrent(_OneOrSeveral):
    @overload
    def __new__(
        cls,
        cell: str | type[Cell],
        input_size: int,
        hidden_size: int,
        num_layers: Literal[1] = 1,
        *,
        bidirectional: Literal[False] = False,
        dropout: float = 0.0,
        bias: bool = True,
        batch_first: bool = False,
        dtype: Dtype = "float32",
        seed: Seed = None,
        learn_initial: bool | Iterable[str] = False,
        certified: bool = True,
        **sizes: float,
    ) -> Self: ...
    @overload
    def __new__(
        cls,
        cell: str | type[Cell],
        input_size: int,
        hidden_size: int,
        num_layers: _Several,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
        batch_first: bool = False,
        dtype: Dtype = "float32",
        seed: Seed = None,
        learn_initial: bool | Iterable[str] = False,
        certified: bool = True,
        residual: _Residual = False,
        **sizes: float,
    ) -> Stack: ...
    @overload
    def __new__(
        cls,
        cell: str | type[Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: Literal[True],
        dropout: float = 0.0,
        bias: bool = True,
        batch_first: bool = False,
        dtype: Dtype = "float32",
        seed: Seed = None,
        learn_initial: bool | Iterable[str] = False,
        certified: bool = True,
        residual: _Residual = False,
        **sizes: float,
    ) -> Stack: ...
    @overload
    def __new__(
        cls,
        cell: str | type[Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
        bias: bool = True,
        batch_first: bool = False,
        dtype: Dtype = "float32",
        seed: Seed = None,
        learn_initial: bool | Iterable[str] = False,
        certified: bool = True,
        residual: _Residual = False,
        **sizes: float,
    ) -> Self | Stack: ...
    if not MYPY:
        @overload
        def __new__(cls, *given: Any, **options: Any) -> Self: ...
        def __init__(
            self,
            cell: str | type[Cell],
            input_size: int,
            hidden_size: int,
            num_layers: int = 1,
            *,
            bidirectional: bool = False,
            dropout: float = 0.0,
            bias: bool = True,
            batch_first: bool = False,
            dtype: Dtype = "float32",
            seed: Seed = None,
            learn_initial: bool | Iterable[str] = False,
            certified: bool = True,
            **sizes: float,
        ) -> None: ...

class Named(Recurrent):
    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, **options: Any) -> None: ...

class LSTM(Named):
    cells: ClassVar[dict[str, dict[str, Any]]]
    @overload
    def __new__(
        cls,
        input_size: int,
        hidden_size: int,
        num_layers: Literal[1] = 1,
        *,
        bidirectional: Literal[False] = False,
        **options: Unpack[_LSTMOptions],
    ) -> Self: ...
    @overload
    def __new__(
        cls,
        input_size: int,
        hidden_size: int,
        num_layers: _Several,
        *,
        bidirectional: bool = False,
        residual: _Residual = False,
        **options: Unpack[_LSTMOptions],
    ) -> Stack: ...
    @overload
    def __new__(
        cls,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: Literal[True],
        residual: _Residual = False,
        **options: Unpack[_LSTMOptions],
    ) -> Stack: ...
    @overload
    def __new__(
        cls,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        residual: _Residual = False,
        **options: Unpack[_LSTMOptions],
    ) -> Self | Stack: ...
    if not MYPY:
        @overload
        def __new__(cls, *given: Any, **options: Any) -> Self: ...
        def __init__(
            self,
            input_size: int,
            hidden_size: int,
            num_layers: int = 1,
            *,
            bidirectional: bool = False,
            **options: Unpack[_LSTMOptions],
        ) -> None: ...

class GRU(Named):
    cells: ClassVar[dict[str, dict[str, Any]]]
    @overload
    def __new__(
        cls,
        input_size: int,
        hidden_size: int,
        num_layers: Literal[1] = 1,
        *,
        bidirectional: Literal[False] = False,
        **options: Unpack[_GRUOptions],
    ) -> Self: ...
    @overload
    def __new__(
        cls,
        input_size: int,
        hidden_size: int,
        num_layers: _Several,
        *,
        bidirectional: bool = False,
        residual: _Residual = False,
        **options: Unpack[_GRUOptions],
    ) -> Stack: ...
    @overload
    def __new__(
        cls,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: Literal[True],
        residual: _Residual = False,
        **options: Unpack[_GRUOptions],
    ) -> Stack: ...
    @overload
    def __new__(
        cls,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        residual: _Residual = False,
        **options: Unpack[_GRUOptions],
    ) -> Self | Stack: ...
    if not MYPY:
        @overload
        def __new__(cls, *given: Any, **options: Any) -> Self: ...
        def __init__(
            self,
            input_size: int,
            hidden_size: int,
            num_layers: int = 1,
            *,
            bidirectional: bool = False,
            **options: Unpack[_GRUOptions],
        ) -> None: ...

class RNN(Named):
    cells: ClassVar[dict[str, dict[str, Any]]]
    @overload
    def __new__(
        cls,
        input_size: int,
        hidden_size: int,
        num_layers: Literal[1] = 1,
        *,
        bidirectional: Literal[False] = False,
        **options: Unpack[_RNNOptions],
    ) -> Self: ...
    @overload
    def __new__(
        cls,
        input_size: int,
        hidden_size: int,
        num_layers: _Several,
        *,
        bidirectional: bool = False,
        residual: _Residual = False,
        **options: Unpack[_RNNOptions],
    ) -> Stack: ...
    @overload
    def __new__(
        cls,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: Literal[True],
        residual: _Residual = False,
        **options: Unpack[_RNNOptions],
    ) -> Stack: ...
    @overload
    def __new__(
        cls,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        residual: _Residual = False,
        **options: Unpack[_RNNOptions],
    ) -> Self | Stack: ...
    if not MYPY:
        @overload
        def __new__(cls, *given: Any, **options: Any) -> Self: ...
        def __init__(
            self,
            input_size: int,
            hidden_size: int,
            num_layers: int = 1,
            *,
            bidirectional: bool = False,
            **options: Unpack[_RNNOptions],
        ) -> None: ...

def class_of(cell: type[Cell]) -> type[Recurrent]: ...
