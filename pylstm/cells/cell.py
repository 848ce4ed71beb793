"""`Cell`: how a recurrent cell is declared. A cell never loops over time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar

from pylstm.cells.contracts.contract import Contract, wrong_cell
from pylstm.cells.contracts.options import Option, Options, bound, options_of, with_options
from pylstm.cells.contracts.stages import Stage, hook_name
from pylstm.cells.contracts.unchanged import check_unchanged, forget_written, remember_constants, remember_declared
from pylstm.cells.declaration import NoContract, check_attributes, is_base
from pylstm.cells.formula.lazy import install


class Cell:
    """A recurrent cell, declared by subclassing.

    One step, for every batch row: for each stage in order, the loop completes the pre-activations ``z`` of the
    stage's gates (the sum of the linear maps of their sources, plus a bias), then calls the row hook, which turns
    them into emissions, and in the last stage into the new states.

    Attributes
    ----------
    name : str
        Registry name. Default: the class name in lower case.
    states : tuple of str
        State names. The first is the output unless `output` says otherwise.
    gates : dict of str to str
        Gate name -> its sources, joined by ``+``: ``x``, the name of a state (its previous value) or of an emission
        of an earlier stage, or in a formula ``lag(h, 4)``, a state so many steps ago. Gates of one source share the
        matrix ``weight_<source>``, rows in gate order.
    biased : tuple of str, optional
        Gates that have a bias; default all.
    params : tuple of str
        Per-unit parameter vectors.
    aux : tuple of str
        Per-step inputs that are not projected, of width 1 unless `widths` says otherwise. The name ``x`` means the
        input itself (width ``input_size``).
    keep : tuple of str
        Values that forward leaves on the tape for backward, besides gates, states and emissions.
    complex : tuple of str
        Those states, gates, emissions, parameters, constants and aux inputs that are complex: two blocks of the layer,
        ``<name>_re`` and ``<name>_im``, and one value of a formula. As a source both parts feed a gate.
    stages : tuple of Stage
        Default: one stage that owns all gates. Every emission is emitted by exactly one stage, every gate owned by
        exactly one; the new states come from the last stage.
    widths : dict of str to (str or int)
        Width of a gate, state, emission, kept value, parameter or aux input: ``"hidden_size"`` (the default, of aux 1),
        ``"input_size"``, another size name (then a keyword of the layer), a number, or a product of these such as
        ``"heads * key"``.
    sizes : dict of str to (int or str or None)
        Extra size names and their defaults: a number, another size name, or None (no default: must be given).
    options : dict of str to (float, int or bool)
        Numbers of the cell that belong to a layer, and their defaults: ``{"dt": 0.1}``. ``forward`` reads them as
        ``o.dt``, ``Recurrent("cornn", 3, 5, dt=0.01)`` sets them; see `with_options`.
    constants : dict of str to (number, array or function)
        Arrays that are saved with a layer and never trained: one number per unit under a name of its own, read as
        ``p.name``; ``weight_<source>``, or ``weight_<source>.<gate>`` for the rows of one gate. A function gets the
        sizes of the layer, ``size.hidden_size``, and returns the array.
    structure : dict of str to (str, array or function)
        Of the matrix ``weight_<source>``: ``{"h": "blocks(heads)"}``. ``"blocks(n)"``: block-diagonal, stored and
        multiplied as such; ``"diagonal"``; ``"low_rank(r)"``: ``weight_<source> @ factor_<source>``;
        ``"antisymmetric"``: W - W^T; ``"orthogonal"``: Cayley's transform of W - W^T; ``"tied"``: one matrix for all
        gates of the source, also before another (``"tied blocks(n)"``). An array (width of a gate, width of the source)
        or a function of the sizes that returns it is a mask. n, r: a number, a size, or a product of these.
    output : str
        The state that is the output.
    domain : dict of str to (number or None, number or None)
        Lowest and highest value that a state, a parameter, an aux input or an option may have, where not all are
        legal: ``{"dt": (0, None)}``. Certification draws numbers there; a layer refuses aux values and options outside.
    kernel : str or PyCapsule, optional
        Compiled row hooks: ``"package.module:attribute"`` of a capsule (loaded at the best instruction-set level), or
        the capsule itself. Made for the options as they are declared: with others the formula or the twin runs.
    elementwise : bool, optional
        Whether every unit is computed by itself: element k of what a hook returns depends on element k of the blocks
        alone. Formulas are (the default there); say so of a kernel with a twin by hand. Where all blocks have one
        width, threads then share the units of a layer of a few rows. Certification checks it.
    formula : str
        ``"package.module:Class"`` of the formula cell that runs with other options, where the twin of this one has its
        own built in (what ``pylstm new-cell`` writes).
    initial_values : dict of str to (float or function)
        Parameters of a new layer that are not drawn as all others are: a per-unit parameter, ``weight_<source>``,
        ``bias``, or ``bias.<gate>``, in this order of setting: a number, or ``function(rng, shape)`` -> array.
    reference : str
        Where the equations come from.
    formulas : dict of str to function
        Stage -> its formula as it was written, for the stages whose backward is derived (set by pylstm).
    contract : Contract
        The declaration, completed and checked (set by pylstm); of a formula cell `declared`, plus the kept values.

    Notes
    -----
    A class may have attributes of its own, under any name. One that a cell lacks and has under a name that is nearly
    right, such as ``gate = {"a": "x+h"}`` without `gates`, is refused. What is declared, and from the first use on what
    a formula reads of the class, cannot be changed: another layer of it is then refused, rather than made as before.
    A class that declares no states, no gates and no hooks is a base class for cells.

    The formula. A stage with ``forward`` and no ``backward`` is a formula: written with the functions of `pylstm`, it
    returns only the new states (or the emissions), is run once on symbols, and its ``backward``, `keep` and what the
    gates show on the tape are derived when the cell is first used. In a subclass a new ``forward`` does not take over
    the ``backward``, `keep` and `kernel` of its parent; ``backward = None`` forbids the derivation.

    The NumPy twin. ``forward`` and ``backward`` are static functions which ask for what they need by argument name;
    each argument is a namespace of arrays of shape (B, width):

    ====== ==================================================================================================
    z      pre-activations of this stage's gates                                        (forward only)
    prev   previous states
    e      emissions of earlier stages
    p      per-unit parameters, shape (width,)
    u      aux inputs
    o      options: plain numbers, so that `if` and `range` may depend on them
    size   sizes of the layer, ``size.hidden_size``: numbers; in a formula symbols
    y      what forward left on the tape at this step: this stage's gates, kept values and emissions, and in the
           last stage the new states                                                    (backward only)
    d      cotangents of this stage's emissions, or of the new states in the last stage (backward only)
    ====== ==================================================================================================

    ``forward`` returns a dict: the new states (last stage) or the stage's emissions; the kept values; and, for each
    gate whose activated value shall be on the tape, that value under the gate's name (a gate that is not returned
    keeps its pre-activation). ``backward`` returns a dict of cotangents: every gate of the stage, and where there
    is a direct path, previous states under the state's name, earlier emissions, params and aux (params with one
    row per batch row: the loop sums them).

    Examples
    --------
    >>> from pylstm.cells import Cell, tanh
    >>> class Elman(Cell):
    ...     states = ("h",)
    ...     gates = {"a": "x+h"}
    ...     def forward(z):
    ...         return {"h": tanh(z.a)}
    >>> Elman.contract.sources
    ('x', 'h')
    """

    name: ClassVar[str] = ""
    states: ClassVar[tuple[str, ...]] = ()
    gates: ClassVar[dict[str, str]] = {}
    biased: ClassVar[tuple[str, ...] | None] = None
    params: ClassVar[tuple[str, ...]] = ()
    aux: ClassVar[tuple[str, ...]] = ()
    keep: ClassVar[tuple[str, ...]] = ()
    complex: ClassVar[tuple[str, ...]] = ()
    stages: ClassVar[tuple[Stage, ...]] = ()
    widths: ClassVar[Mapping[str, str | int]] = {}
    sizes: ClassVar[dict[str, int | str | None]] = {}
    options: ClassVar[dict[str, Option]] = Options()
    constants: ClassVar[dict[str, Any]] = {}
    structure: ClassVar[dict[str, Any]] = {}
    output: ClassVar[str] = ""
    domain: ClassVar[dict[str, tuple[float | None, float | None]]] = {}
    kernel: ClassVar[Any] = None
    elementwise: ClassVar[bool | None] = None
    formula: ClassVar[str] = ""
    initial_values: ClassVar[dict[str, float | Callable[..., Any]]] = {}
    reference: ClassVar[str] = ""
    contract: ClassVar[Contract]
    declared: ClassVar[Contract]
    formulas: ClassVar[dict[str, Callable[..., Any]]] = {}
    _derivation: ClassVar[Any]  # of a formula cell, when it is derived
    _machine_kernels: ClassVar[dict[Any, Any]]  # sizes, or None where the programs do not depend on them -> capsule
    _tangents: ClassVar[dict[bool, Any]]  # without and with parameters -> the cell beside its tangent
    _tape_tangents: ClassVar[dict[Any, Any]]  # with the input, with parameters -> the cell of the tangents alone
    _certified_widths: ClassVar[dict[Any, Any]]  # sizes -> their certificate
    _certificate: ClassVar[tuple[Any, Any]]  # what it is of, and the certificate
    _declared_as: ClassVar[dict[str, Any]]  # what the contract was made of
    _derived_with: ClassVar[dict[str, Any]]  # constants that the formula may have read

    if TYPE_CHECKING:  # a cell has no instances: what a checker takes for `self` in `def forward(z, prev)` is `z`

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, *given: Any, **options: Any) -> None:
        if given or options:
            cell = type(self).__name__
            raise TypeError(
                f"the class {cell} declares a cell and takes no arguments: a layer of it is "
                f"pylstm.Recurrent({cell}, input_size, hidden_size)"
            )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__.lower()
        check_attributes(cls, Cell)
        if "options" in cls.__dict__ and "kernel" not in cls.__dict__:
            cls.kernel = None  # that of the parent computes with the options of the parent
        if "kernel" in cls.__dict__ and "elementwise" not in cls.__dict__:
            cls.elementwise = None  # the parent says so of its own kernel
        if isinstance(cls.__dict__.get("options"), dict):
            cls.options = Options(cls.options)
        cls._read_hooks()
        if is_base(cls, Cell):
            cls.contract = NoContract()  # type: ignore[assignment]
            return
        remember_declared(cls)
        declared = Contract.of(cls)
        if declared.lags and declared.stages[-1].name not in cls.formulas:
            raise TypeError(
                f"cell {cls.name!r}: lag(...) in gates needs a formula as the last stage, which fills the states that "
                "remember: leave out its backward, or declare these states and return them"
            )
        declared.check_initial_values(cls.initial_values)
        if cls.formulas:
            cls.declared = declared
            install(cls)
        else:
            cls.contract = declared

    @classmethod
    def _read_hooks(cls) -> None:
        """Make the hooks static; a stage with a new ``forward`` and no ``backward`` of its own is a formula."""
        own, formulas, functions = cls.__dict__, {}, []
        for stage in cls.stages or (Stage(""),):
            names = [hook_name(direction, stage.name) for direction in ("forward", "backward")]
            for name in names:
                if callable(own.get(name)) and not isinstance(own[name], staticmethod):
                    setattr(cls, name, staticmethod(own[name]))
            forward, backward = (name in own for name in names)
            if forward and not backward:
                formulas[stage.name] = bound(getattr(cls, names[0]), cls.options)
            elif stage.name in cls.formulas and not forward and not backward:
                formulas[stage.name] = bound(cls.formulas[stage.name], cls.options)
            else:
                for name in names:
                    hook = getattr(cls, name, None)
                    if isinstance(hook, FunctionType) and bound(hook, cls.options) is not hook:
                        setattr(cls, name, staticmethod(bound(hook, cls.options)))
                        functions.append(getattr(cls, name))
        cls.formulas = formulas
        cls._check_options([*formulas.values(), *functions])
        if formulas or any(vars(parent).get("formulas") for parent in cls.__mro__[1:]):
            cls.keep = own.get("keep", ())
            cls.kernel = own.get("kernel")

    @classmethod
    def with_options(cls, **values: Option) -> type[Cell]:
        """The same cell with other values of its options.

        Parameters
        ----------
        **values : float, int or bool
            By the names in `options`; those not given stay what they are.

        Returns
        -------
        subclass of Cell
            The same class for the same values. It is pickled, saved and printed as this cell and its options.

        Raises
        ------
        TypeError
            An option that the cell does not have; a value of another kind.
        ValueError
            A value that is not finite, or outside `domain`.

        Examples
        --------
        >>> from pylstm.cells import Cell, tanh
        >>> class Leaky(Cell):
        ...     states = ("h",)
        ...     gates = {"a": "x+h"}
        ...     options = {"rate": 0.5}
        ...     def forward(z, prev, o):
        ...         return {"h": prev.h + o.rate * (tanh(z.a) - prev.h)}
        >>> slow = Leaky.with_options(rate=0.1)
        >>> slow.options, slow is Leaky.with_options(rate=0.1), slow.with_options(rate=0.5) is Leaky
        ({'rate': 0.1}, True, True)
        """
        changed: type[Cell] = with_options(cls, values)
        return changed

    @classmethod
    def _remember_constants(cls) -> None:
        remember_constants(cls, Cell)

    @classmethod
    def _forget_written(cls) -> None:
        forget_written(cls, Cell)

    @classmethod
    def _check_unchanged(cls) -> None:
        check_unchanged(cls, Cell)

    @classmethod
    def _check_options(cls, functions: Iterable[Callable[..., Any]]) -> None:
        """Reject options that no function reads: setting them would change nothing."""
        if cls.options and not cls.formula and not any(options_of(function) for function in functions):
            raise TypeError(
                f"cell {cls.name!r} declares the options {', '.join(cls.options)}, but no function of it asks for `o`: "
                f"write def forward(z, prev, o) and read o.{next(iter(cls.options))}"
            )


def check_cell(cell: Any) -> type[Cell]:
    """`cell`, if it is a class of cells of its own.

    Raises
    ------
    TypeError
        A name, an instance, `Cell` itself, another class: with what to do.
    """
    if isinstance(cell, type) and issubclass(cell, Cell) and cell is not Cell:
        return cell
    raise TypeError(wrong_cell(cell))
