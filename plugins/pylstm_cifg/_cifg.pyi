from typing import Any

cifg: Any
