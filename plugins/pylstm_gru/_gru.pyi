from typing import Any

gru: Any
gru_reset_before: Any
