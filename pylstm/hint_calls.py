"""`explained`: calls that Python would refuse in its own words are refused in those of pylstm."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any, TypeVar, cast

from pylstm.hint_texts import HINTS

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Made = TypeVar("_Made")


def unknown_option(name: str, option: str, known: Iterable[str]) -> str:
    """That `name` has no such option, which it has, and which was meant."""
    import difflib

    known = list(known)
    close = difflib.get_close_matches(option.lower(), known, 1)
    hint = f"; did you mean {close[0]}=?" if close else ""
    return f"{name} has no option {option}=: it takes {', '.join(known) or 'none'}{hint}"


def wrong_call(function: Callable[..., Any], name: str, given: tuple[Any, ...], options: dict[str, Any]) -> str | None:
    """What is wrong with a call that Python refuses, in the words of pylstm; None of a call that fits."""
    signature = inspect.signature(function)
    try:
        signature.bind(*given, **options)
    except TypeError:
        parameters = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
        own = [each for each in signature.parameters.values() if each not in parameters]
    else:
        return None
    named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    known = [each.name for each in named]
    unknown = [option for option in options if option not in known]
    if unknown and not any(each.kind is each.VAR_KEYWORD for each in parameters):
        return unknown_option(name, unknown[0], known)
    places = [each for each in named if each.kind is each.POSITIONAL_OR_KEYWORD]
    needed = [each.name for each in named if each.default is each.empty]
    taken = [each.name for each in places[: len(given) - len(own)]]
    twice = [each for each in taken if each in options]
    missing = [each for each in needed if each not in options and each not in taken]
    if missing and not twice:
        texts, owner = HINTS["argument"], function.__qualname__.split(".")[0]
        found = (texts.get(f"{owner}.{each}", texts.get(each)) for each in missing)
        call = ", ".join(each if each in [one.name for one in places] else f"{each}={each}" for each in needed)
        cure = "".join(f"; {each}" for each in found if each and f"{name}({call})" not in each)
        lost = [f"{each}=" for each in missing if f"{each}={each}" in call]
        how = f" by name, {', '.join(lost)}" if lost and len(given) - len(own) > len(places) else ""
        return f"{name} needs {' and '.join(missing)}{how}: {name}({call}){cure}"
    if twice:
        return f"{name}: {twice[0]} was given twice, by position and by name"
    by_name = ", ".join(f"{each.name}=" for each in named if each.kind is each.KEYWORD_ONLY)
    if not places:
        return f"{name} takes no positional arguments{by_name and '; by name '}{by_name}"
    return f"{name} takes {len(places)} positional argument{'s' * (len(places) > 1)}, " + (
        ", ".join(each.name for each in places) + (f"; by name {by_name}" if by_name else "")
    )


def explained(kind: str = "", name: str = "") -> Callable[[_Function], _Function]:
    """Decorator of a function or method: a call that Python would refuse is refused by `wrong_call`.

    `kind` is that of `HINTS` for options of other libraries. What a call that fits costs is one more call.
    """
    texts = HINTS[kind] if kind else {}

    def decorate(function: _Function) -> _Function:
        @functools.wraps(function)
        def call(*given: Any, **options: Any) -> Any:
            for option in options:
                if option in texts and option not in inspect.signature(function).parameters:
                    raise TypeError(f"unknown option {option}=: {texts[option]}")
            try:
                return function(*given, **options)
            except TypeError as error:
                written = name or _name_of(function, call, given)
                problem = wrong_call(function, written, given, options)
                if problem is None:
                    refuse_kind(function, written, (given, options), error)
                    raise
            except (AttributeError, ValueError, LookupError) as error:
                refuse_kind(function, name or _name_of(function, call, given), (given, options), error)
                raise
            raise TypeError(problem)

        return cast("_Function", call)

    return decorate


def refuse_kind(
    function: Callable[..., Any], name: str, call: tuple[tuple[Any, ...], dict[str, Any]], error: Exception
) -> None:
    """TypeError in place of an error in Python's words, where an argument is not what its annotation says."""
    from pylstm.hint_kinds import wrong_kind  # only for what is refused

    problem = wrong_kind(function, name, call, error)
    if problem is not None:
        raise TypeError(problem) from error


def takes_input(function: _Function) -> _Function:
    """Decorator of a call that is too hot for `explained`: `inspect` sees a first argument without its default `...`.

    What the call does not take, ``*more`` and ``**other``, it refuses itself; neither is in the signature.
    """
    signature = inspect.signature(function)
    shown = [
        each.replace(default=each.empty) if each.default is ... else each
        for each in signature.parameters.values()
        if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    setattr(function, "__signature__", signature.replace(parameters=shown))  # noqa: B010
    return function


def explained_constructor(cls: type[_Made]) -> type[_Made]:
    """Decorator of a dataclass or a named tuple: its constructor and its methods are `explained`."""
    made = "__new__" if issubclass(cls, tuple) else "__init__"
    if made in vars(cls):
        of_class: Any = cls
        constructor = explained()(getattr(of_class, made))
        setattr(cls, made, staticmethod(constructor) if made == "__new__" else constructor)
    explain_methods(cls)
    return cls


def explain_methods(cls: Any) -> None:
    """Public methods of a class are `explained`, but for those that are called at every step (`hot`)."""
    hot = getattr(cls, "hot", ())
    for name, value in list(vars(cls).items()):
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if name.startswith("_") or name in hot or not isinstance(function, FunctionType):
            continue
        if not hasattr(function, "__wrapped__"):
            wrapped = explained()(function)
            setattr(cls, name, wrapped if function is value else type(value)(wrapped))


def _name_of(function: Any, call: Any, given: tuple[Any, ...]) -> str:
    """How a caller writes it: the class of an object that is made, the name of a function."""
    if function.__name__ == "__new__":
        return str(given[0].__name__)
    if function.__name__ == "__call__":
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(given[0]).__name__).lower()  # an object of the class
    if function.__name__ != "__init__":
        return str(function.__name__)
    made: Any = type(given[0])
    return str(made.__name__ if made.__init__ is call else function.__qualname__.split(".")[-2])
