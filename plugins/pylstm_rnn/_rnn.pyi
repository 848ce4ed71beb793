from typing import Any

rnn_tanh: Any
rnn_relu: Any
rnn_linear: Any
