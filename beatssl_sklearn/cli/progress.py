"""How far a command is: a bar on a terminal, and some plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from .messages import complain, printable

# Between two lines [s]: a night's log has some hundred.
_EVERY_S = 60.0


def on_terminal() -> bool:
    """Whether somebody watches standard error."""
    return sys.stderr is not None and sys.stderr.isatty()


class Progress:
    """Counts records; use it in a ``with`` statement.

    Parameters
    ----------
    total : int
        Records.
    what : str
        What is done with them.
    quiet : bool
        Whether to show nothing.
    """

    def __init__(self, total: int, what: str, quiet: bool) -> None:
        self._total, self._what, self._quiet = total, what, quiet
        self._bar: Any = None
        self._done, self._note = 0, ""
        self._begun = self._told = time.monotonic()

    def __enter__(self) -> Progress:
        if on_terminal() and not self._quiet:
            from tqdm import tqdm

            self._bar = tqdm(total=self._total, desc=self._what, unit="rec")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, n: int = 1) -> None:
        """Count records that are done or were skipped."""
        self._done += n
        if self._bar is not None:
            self._bar.update(n)
        self._tell()

    def note(self, text: str) -> None:
        """Show where in a long record the work is; "" is the end of it."""
        self._note = printable(text)
        if self._bar is not None:
            self._bar.set_postfix_str(self._note)
        self._tell()

    def write(self, text: str) -> None:
        """Write a line on standard error."""
        if self._bar is not None:
            # A plain write would break the bar.
            self._bar.write(printable(text), file=sys.stderr)
        else:
            complain(text)

    def clear(self) -> None:
        """Make room for a line on standard output."""
        if self._bar is not None:
            self._bar.clear()

    def _tell(self) -> None:
        now = time.monotonic()
        if self._quiet or self._bar is not None or now - self._told < _EVERY_S:
            return
        self._told = now
        rate = f", {self._done / (now - self._begun):.3g} records/s" if self._done else ""
        note = f", {self._note}" if self._note else ""
        complain(f"{self._what}: {self._done} of {self._total} records{rate}{note}")
