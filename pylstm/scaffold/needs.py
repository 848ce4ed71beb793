"""`Needs`: what the functions of a cell use of their modules, as text for another module."""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import math
import re
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pylstm.cells import functions, row_functions

CONSTANTS = (bool, int, float, str, type(None))


def _is_numbers(value: Any) -> bool:
    """Whether a list or tuple holds plain numbers alone."""
    return type(value) in (list, tuple) and all(type(each) in (bool, int, float) for each in value)


def literal(value: Any) -> str:
    """``repr`` with double quotes; numbers of NumPy as plain ones."""
    if isinstance(value, str):
        return '"' + repr(value + '"')[1:-2].replace('"', '\\"').replace("\\'", "'") + '"'
    if isinstance(value, float):
        return repr(float(value)) if math.isfinite(value) else f'float("{float(value)}")'
    if isinstance(value, tuple) and type(value) is tuple:
        return "(" + ", ".join(map(literal, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(each)}" for key, each in value.items()) + "}"
    if type(value).__name__ == "Stage":
        return f"Stage({literal(value.name)}, gates={literal(value.gates)}, emits={literal(value.emits)})"
    return repr(value)


class _Name:
    """What is written as a name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


class Needs:
    """What functions use of the modules that they were written in."""

    def __init__(self) -> None:
        self._constants: list[str] = []
        self._helpers: list[str] = []
        self._lines: set[str] = set()
        self._functions: set[str] = set()
        self._seen: dict[str, tuple[Any, str]] = {}

    def function(self, function: Callable[..., Any], name: str) -> str:
        """Source of a function, under this name, decorators included; what it uses is noted.

        Raises
        ------
        ValueError
            Its source cannot be found; it uses something that cannot be written into a file.
        """
        function = inspect.unwrap(function)
        try:
            source = textwrap.dedent(inspect.getsource(function))
        except (OSError, TypeError):
            raise ValueError(
                f"the source of {function.__qualname__} cannot be read: put the class into a file, pass file.py:Class"
            ) from None
        if not source.lstrip().startswith(("def ", "@")):
            raise ValueError(f"{function.__qualname__} is not a plain function: write it with def")
        for used in sorted({*_globals(function.__code__), *_around(source)}):
            if used in function.__globals__:
                self._note(used, function.__globals__[used], function)
        return re.sub(r"^def \w+", f"def {name}", _enclosed(source, function), count=1, flags=re.MULTILINE)

    def values(self, values: dict[str, Any]) -> dict[str, Any]:
        """`Cell.initial_values` as it is written: functions by their names, their sources noted; lambdas in place."""
        return {name: self._value(name, each) if callable(each) else each for name, each in values.items()}

    def _value(self, name: str, function: Any) -> _Name:
        if not isinstance(function, FunctionType):
            raise ValueError(f"the value of {name!r} is not a plain function: write it with def")
        if function.__name__ == "<lambda>":
            return _Name(self._lambda(name, function))
        if self._is_new(function.__name__, function, "initial_values"):
            self._helpers.append(self.function(function, function.__name__).strip())
        return _Name(function.__name__)

    def _lambda(self, name: str, function: FunctionType) -> str:
        """The expression of a lambda, as it was written; what it uses is noted."""
        source = "".join(linecache.getlines(function.__code__.co_filename))
        found = {text for node, text in _lambdas(source) if _is_of(function.__code__, node)}
        if len(found) != 1 or function.__code__.co_freevars:
            raise ValueError(
                f"the value of {name!r} is a lambda that cannot be written into a file: write a function with def, "
                "at the top of the module"
            )
        for used in sorted(_globals(function.__code__)):
            if used in function.__globals__:
                self._note(used, function.__globals__[used], function)
        return found.pop()

    def _is_new(self, name: str, value: Any, user: str) -> bool:
        """Whether `name` has not been met; one name means one thing in one file."""
        if name not in self._seen:
            self._seen[name] = value, user
            return True
        known, first = self._seen[name]
        if known is not value and not (isinstance(value, CONSTANTS) and literal(known) == literal(value)):
            raise ValueError(
                f"{user} uses {name!r}, which means something else in {first}: rename one of them, "
                "since the package has both in one file"
            )
        return False

    def _note(self, name: str, value: Any, user: Callable[..., Any]) -> None:
        """Carry along what `user` finds as `name` in its module."""
        if not self._is_new(name, value, user.__qualname__):
            return
        if isinstance(value, ModuleType):
            self._lines.add(f"import {value.__name__} as {name}" if value.__name__ != name else f"import {name}")
        elif any(getattr(module, name, None) is value for module in (functions, row_functions)):
            self._functions.add(name)
        elif isinstance(value, FunctionType) and hasattr(value, "derivative"):
            self._helpers.append(self._surrogate(name, user))
        elif isinstance(value, FunctionType) and inspect.unwrap(value).__module__ == user.__module__:
            self._helpers.append(self.function(value, name).strip())
        elif isinstance(value, CONSTANTS) or _is_numbers(value):
            self._constants.append(f"{name} = {literal(value)}")
        elif getattr(value, "__module__", None) and getattr(value, "__name__", None):
            self._import(name, value, user)
        else:
            raise ValueError(
                f"{user.__qualname__} uses {name!r}, which cannot be written into a file: use a number instead"
            )

    def _surrogate(self, name: str, user: Callable[..., Any]) -> str:
        """The statement of the module that makes a function by `surrogate`; what it uses is noted."""
        source = "".join(linecache.getlines(user.__code__.co_filename))
        made = [each for each in ast.parse(source).body if isinstance(each, ast.Assign) and name in _targets(each)]
        if len(made) != 1:
            raise ValueError(
                f"{user.__qualname__} uses {name!r}, a surrogate that its module does not make by one statement: write "
                f"{name} = surrogate(...) above the class"
            )
        for used in sorted({node.id for node in ast.walk(made[0].value) if isinstance(node, ast.Name)}):
            if used in user.__globals__:
                self._note(used, user.__globals__[used], user)
        return str(ast.get_source_segment(source, made[0]))

    def _import(self, name: str, value: Any, user: Callable[..., Any]) -> None:
        known = next((key for key, each in vars(functions).items() if each is value), None)
        module, original = ("pylstm.cells", known) if known else (value.__module__, value.__name__)
        if module == user.__module__:
            raise ValueError(
                f"{user.__qualname__} uses {name!r}, a {type(value).__name__.replace('type', 'class')} of its own "
                "module, which the package would not have: use a function, or a number of the module or of `options`"
            )
        self._lines.add(f"from {module} import {original}" + (f" as {name}" if original != name else ""))

    def before(self, text: str) -> str:
        """`text` after the numbers and functions that it needs."""
        constants = ["\n".join(self._constants)] if self._constants else []
        return "\n\n\n".join([*constants, *self._helpers, text])

    def imports(self, text: str) -> list[str]:
        """Import lines for `text`: those noted, and what it calls of `pylstm.cells`."""
        from pylstm import cells

        called = set(re.findall(r"(?<![.\w])([a-z]\w*)\(", text)) - set(self._seen)
        known = vars(functions) | vars(row_functions)
        called = {name for name in called if callable(known.get(name)) and not name.startswith("_")}
        called |= self._functions
        public = {"Cell", *({"Stage"} if re.search(r"\bStage\(", text) else ()), *(called & set(cells.__all__))}
        return [*sorted(self._lines), f"from pylstm.cells import {', '.join(sorted(public))}"]


def _lambdas(source: str) -> Iterator[tuple[ast.Lambda, str]]:
    """The lambdas of a module and their texts, on one line each."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Lambda):
            text = ast.get_source_segment(source, node) or ""
            yield node, ast.unparse(node) if "\n" in text else text


def _is_of(code: CodeType, node: ast.Lambda) -> bool:
    """Whether `code` is that of a lambda: of its line, and of the columns that its body has there."""
    body = node.body
    place = (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset)
    return node.lineno == code.co_firstlineno and place in code.co_positions()


def _targets(statement: ast.Assign) -> set[str]:
    return {target.id for target in statement.targets if isinstance(target, ast.Name)}


def _enclosed(source: str, function: Callable[..., Any]) -> str:
    """`source` with what it uses of the function around it as its first line."""
    found = inspect.getclosurevars(function).nonlocals
    if not function.__code__.co_freevars:
        return source
    others = [name for name in function.__code__.co_freevars if not isinstance(found.get(name, ...), CONSTANTS)]
    if others:
        raise ValueError(
            f"{function.__qualname__} uses {', '.join(others)} of the function around it, which is not a number: "
            "move the class out of it"
        )
    written: Any = ast.parse(source).body[0]
    body = written.body
    first = body[1] if ast.get_docstring(written) is not None and len(body) > 1 else body[0]
    lines = source.encode().splitlines(keepends=True)
    before, rest = lines[first.lineno - 1][: first.col_offset], lines[first.lineno - 1][first.col_offset :]
    constants = f"{', '.join(found)} = {', '.join(map(literal, found.values()))}"
    between = "; " if before.strip() else "\n" + before.decode()
    lines[first.lineno - 1] = before + (constants + between).encode() + rest
    return b"".join(lines).decode()


def _globals(code: CodeType) -> set[str]:
    """Names that code, and the code inside of it, looks up in its module."""
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    own = {each.argval for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return own.union(*(_globals(each) for each in inner))


def _around(source: str) -> Iterator[str]:
    """Names in decorators, defaults and annotations of a function: looked up when it is defined."""
    function: Any = ast.parse(source).body[0]
    parts = [*function.decorator_list, function.args, *filter(None, [function.returns])]
    return (node.id for part in parts for node in ast.walk(part) if isinstance(node, ast.Name))
