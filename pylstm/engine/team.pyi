from typing import Any

idle: list[Any]

class Worker:
    def serve(self) -> None: ...

def meet_repeatedly(threads: int, meetings: int) -> None: ...
