"""Signals that ask a program to end: what is unfinished is removed first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# The second one is sent when a terminal goes away; Windows has none.
_NAMES = ("SIGTERM", "SIGHUP")


class Stopped(BaseException):
    """A signal asked the program to end.

    No `Exception`: the failure of a record is one, and does not end the work.

    Parameters
    ----------
    number : int
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Stopped` in the body when the program is asked to end, so that its files are closed and removed."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    older: dict[int, Any] = {}
    # Only the main thread can be asked. What is ignored, as by nohup, stays so.
    if threading.current_thread() is threading.main_thread():
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                older[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in older.items():
            signal.signal(number, handler)
