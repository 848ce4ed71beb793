from typing import Any

lstm_linear_output: Any
