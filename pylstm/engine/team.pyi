from typing import Any

idle: list[Any]

class Worker:
    def serve(self) -> None: ...
