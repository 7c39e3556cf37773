"""Text in cells: what is escaped, that it can be undone, and that nothing else changes."""

from __future__ import annotations

import os

import pytest

from beatssl_sklearn.files.cell_text import escape_text, unescape_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100", "100"),
        ("records100/00000/00001_lr", "records100/00000/00001_lr"),
        ("Größe 心 €", "Größe 心 €"),
        ("", ""),
        ("a=b-c", "a=b-c"),
        ("=1+1", r"\u003d1+1"),
        ("+1", r"\u002b1"),
        ("-1", r"\u002d1"),
        ("@A1", r"\u0040A1"),
        ("\t=1", r"\u0009=1"),
        ("two\nlines\r", r"two\u000alines\u000d"),
        ("a\u2028b", r"a\u2028b"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800", r"\ud800"),
        ("a\x85b\x1b[2J", r"a\u0085b\u001b[2J"),
        ("\\xe9", r"\\xe9"),
    ],
)
def test_text(text: str, expected: str) -> None:
    assert escape_text(text) == expected
    assert unescape_text(expected) == text


def test_every_name_that_a_disk_can_hold_comes_back() -> None:
    names = [os.fsdecode(bytes([i, 0x61, j])) for i in range(1, 256) for j in (0x5C, 0x0A, 0x3D, 0xE9, 0x78)]
    escaped = [escape_text(name) for name in names]
    assert [unescape_text(text) for text in escaped] == names and len(set(escaped)) == len(names)
    for text in escaped:
        assert len(text.splitlines()) == 1 and text[0] not in "=+-@" and text.encode().decode() == text
