from typing import Any

KINDS: tuple[str, ...]
SPACES: tuple[str, ...]
NUMBERS: dict[str, int]

class Machine: ...

def opcodes() -> dict[str, tuple[int, bool, bool]]: ...
def build(name: str, counts: dict[str, int], stages: list[tuple[dict[str, Any], dict[str, Any]]]) -> Any: ...
