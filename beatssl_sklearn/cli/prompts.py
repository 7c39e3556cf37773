"""What `beatssl ask` asks: classes with the texts that describe them, from --prompt and --codes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

# Prompts of one class by its name.
Prompt = tuple[str, list[str]]


def prompt(text: str) -> Prompt:
    """Read ``TEXT``, ``TEXT|TEXT`` or ``NAME=TEXT|TEXT``; without a name, the first text is it."""
    name, equals, rest = text.partition("=")
    texts = [part.strip() for part in (rest if equals else text).split("|")]
    name = name.strip() if equals else texts[0]
    if not name or not all(texts):
        raise argparse.ArgumentTypeError(f"must be TEXT or NAME=TEXT|TEXT, got {text!r}")
    return name, texts


def classes(prompts: Sequence[Prompt], codes: Sequence[str]) -> dict[str, list[str]]:
    """Return the texts of all classes by their names.

    Parameters
    ----------
    prompts : sequence of (str, list of str)
        Of --prompt.
    codes : sequence of str
        Of --codes: their texts are the glossary's.

    Raises
    ------
    ValueError
        If there is none, a code is unknown, a text has no word, or two have one name.
    """
    from ..pretraining.report_prompts import check_prompts
    from ..text import Glossary

    glossary = Glossary.load()
    try:
        named = [*prompts, *((code, glossary.prompts(code)) for code in codes)]
    except ValueError as error:
        raise ValueError(f"--codes: {error}") from error
    if not named:
        raise ValueError('nothing is asked: give --prompt TEXT, such as "atrial fibrillation", or --codes AFIB,NORM')
    names = [name for name, _ in named]
    if twice := [code for code in dict.fromkeys(codes) if codes.count(code) > 1]:
        raise ValueError(f"--codes: {twice[0]!r} is there twice")
    twice = sorted({name for name in names if names.count(name) > 1 or name == "record"})
    if twice:
        raise ValueError(f"--prompt: {twice[0]!r} is the name of another column; give it a name by NAME=TEXT")
    try:
        return check_prompts(dict(named))
    except ValueError as error:
        raise ValueError(f"--prompt: {error}") from error
