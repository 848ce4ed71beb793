from typing import Any

peephole: Any
