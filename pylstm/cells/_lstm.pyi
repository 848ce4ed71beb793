from typing import Any

lstm: Any
