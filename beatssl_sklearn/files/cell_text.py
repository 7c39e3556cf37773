r"""Text in the cells of tables: one line of UTF-8, and no formula.

A name on disk is bytes, and can hold a line feed, or begin with ``=``, which a spreadsheet executes. Such characters
are written as escape sequences, which can be undone:

=========================================  =================================
what                                       what is written
=========================================  =================================
a byte that is no text (UTF-8)             ``\x`` and two hexadecimal digits
control characters and ends of lines       ``\u`` and four hexadecimal digits
``=``, ``+``, ``-``, ``@`` at the start    ``\u`` and four hexadecimal digits
the backslash                              two backslashes
=========================================  =================================

Everything else stays as it is, so that other names read as they are on disk.
"""

from __future__ import annotations

import re

_FORMULA = ("=", "+", "-", "@")
# Controls, line and paragraph separators, and surrogates, which UTF-8 cannot hold.
_ODD = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(?:(\\)|x([0-9a-f]{2})|u([0-9a-f]{4}))")
# Python's own code points for bytes that are no UTF-8.
_BYTES = range(0xDC80, 0xDD00)


def escape_text(text: str) -> str:
    r"""Return a text as it stands in tables.

    Parameters
    ----------
    text : str
        Such as the name of a record; bytes that are no text are as `os.fsdecode` returns them.

    Returns
    -------
    str
        One line that UTF-8 can hold and that no spreadsheet takes for a formula. Different texts stay different.

    Examples
    --------
    >>> print(escape_text("a\nb"), escape_text("=1+1"), escape_text("patient 7"))
    a\u000ab \u003d1+1 patient 7
    """
    escaped = _ODD.sub(lambda found: _escape(found[0]), text)
    if escaped.startswith(_FORMULA):
        escaped = f"\\u{ord(escaped[0]):04x}{escaped[1:]}"
    return escaped


def unescape_text(text: str) -> str:
    """Return the text that `escape_text` was given.

    Parameters
    ----------
    text : str
        As it stands in a table.

    Returns
    -------
    str
        The original.
    """
    return _ESCAPED.sub(_original, text)


def _escape(character: str) -> str:
    code = ord(character)
    if code in _BYTES:
        return f"\\x{code - 0xDC00:02x}"
    return "\\\\" if character == "\\" else f"\\u{code:04x}"


def _original(found: re.Match[str]) -> str:
    backslash, byte, code = found.groups()
    if backslash:
        return "\\"
    return chr(0xDC00 + int(byte, 16)) if byte else chr(int(code, 16))
