"""Glossary: what statements about ECGs are called in reports and prompts, in English, German and Swedish."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from .reports import sentences

LANGUAGES = ("en", "de", "sv")
# Words that deny what follows, and words that may stand between.
_DENIALS = frozenset(
    "no not without never absence kein keine keinen keiner keines keinerlei ohne nicht ausschluss ingen inga inget ej "
    "inte utan".split()
)
# Pairs of words that deny, too; the first one alone does not: "free wall".
_DENYING_PAIRS = frozenset({("free", "of"), ("free", "from"), ("frei", "von")})
# What a denial goes on with, over words that the glossary does not know, and what ends it.
_OR = frozenset("or nor oder noch eller".split())
_ENDS_DENIAL = re.compile(
    r"[,:()]|and|but|with|und|aber|sondern|bei|mit|och|men|med|(?:ausgeschl|auszuschl|exclu|rule).*"
)
# What denies the words before it.
_DENIED_BEFORE = re.compile(
    r"(?:(?:ist|sind|war|waren|wurden?|konnten?|is|are|was|were|has been|have been|can be) )?"
    r"(?:nicht (?:mehr )?(?:sicher )?(?:nachweisbar|nachgewiesen|nachzuweisen|vorhanden|erkennbar|zu erkennen)\b"
    r"|ausgeschlossen\b|absent\b|excluded\b|ruled out\b"
    r"|not (?:seen|present|detected|found)\b|: (?:nein|no|nej|keine?s?|none|absent)(?= [,:()]|$))"
)
_BETWEEN = frozenset(
    "a an any the of for to ecg evidence sign signs suggestion definite certain clear diagnostic significant longer "
    "suggest suggesting present changes ekg hinweis hinweise hinweisen anhalt anzeichen zeichen für auf einen eine ein "
    "eines einer sicher sichere sicheren sicherer sicheres eindeutige eindeutigen signifikante signifikanten "
    "signifikantes mehr säkert säkra tecken på von vom or nor oder noch eller".split()
)
_WORD = re.compile(r"[^\W_]+|[,:()]")
# "extrasystole(n)", "contraction(s)": the end of a word may stand in brackets.
_BRACKETED_END = re.compile(r"(?<=[^\W\d_])\((?:n|s|a|t|en|er|es)\)")
_ENDING = re.compile(r"(?<=....)(?:en|er|es|em|e|n|s)+$")
_LETTERS = str.maketrans({"ä": "a", "ö": "o", "ü": "u", "å": "a", "é": "e"})
# Shorter phrases are abbreviations: they must be one word, so that "r-s" is not "rs".
_SHORTEST_JOINED = 4


@cache
def _stem(word: str) -> str:
    """Return a word without umlauts and without its ending, so that inflected and transliterated forms are one."""
    for pair, letter in (("ae", "a"), ("oe", "o"), ("ue", "u")):
        word = word.replace(pair, letter)
    word = word.translate(_LETTERS).replace("ischam", "ischem")
    return _ENDING.sub("", word)


def _words(sentence: str) -> list[str]:
    return _WORD.findall(_BRACKETED_END.sub("", sentence))


def _key(phrase: str) -> str:
    """Return what a phrase and its spellings with hyphens, blanks and other endings have in common."""
    return "".join(_stem(word) for word in _words(phrase.casefold()))


class Glossary:
    """Codes of statements about ECGs with their descriptions and synonyms.

    The codes are the 71 statements of SCP-ECG as PTB-XL spells them, the superclasses MI, STTC, CD and HYP beside NORM,
    and further findings that reports name ("LEFT_AXIS", "OLD"). Descriptions and synonyms are the authors' own.

    Parameters
    ----------
    entries : mapping of str to mapping
        Per code its "kind" ("diagnostic", "form", "rhythm", "superclass" or "finding"), its "parents" (more general
        codes), and a list of phrases per language: the description first, then synonyms, the best first.

    Raises
    ------
    ValueError
        If an entry has no English phrase, or a parent that is no code.

    See Also
    --------
    Glossary.load : The glossary of the package.
    """

    def __init__(self, entries: Mapping[str, Mapping[str, Any]]):
        self._entries = dict(entries)
        for code, entry in self._entries.items():
            if not entry.get("en"):
                raise ValueError(f"the entry {code!r} has no English phrase in 'en'")
            for parent in entry["parents"]:
                self._entry(parent)
        self._codes_of: dict[str, tuple[str, ...]] = {}
        for code in self._entries:
            for key in dict.fromkeys(map(_key, self.phrases(code))):
                self._codes_of[key] = (*self._codes_of.get(key, ()), code)
        self._longest = max(map(len, self._codes_of))

    @staticmethod
    def load() -> Glossary:
        """Return the glossary of the package. It is read once."""
        return _load()

    @property
    def codes(self) -> tuple[str, ...]:
        """All codes, in the order of the glossary."""
        return tuple(self._entries)

    def kind(self, code: str) -> str:
        """Return "diagnostic", "form", "rhythm", "superclass" or "finding".

        Raises
        ------
        ValueError
            If the code is unknown.
        """
        return str(self._entry(code)["kind"])

    def parents(self, code: str) -> list[str]:
        """Return all more general codes, the nearest first.

        Raises
        ------
        ValueError
            If the code is unknown.
        """
        found: dict[str, None] = {}
        waiting = list(self._entry(code)["parents"])
        while waiting:
            parent = waiting.pop(0)
            if parent not in found:
                found[parent] = None
                waiting += self._entry(parent)["parents"]
        return list(found)

    def describe(self, code: str, language: str = "en") -> str:
        """Return what a code means, in a few words.

        Parameters
        ----------
        code : str
            As in `codes`.
        language : {"en", "de", "sv"}
            English, German or Swedish.

        Raises
        ------
        ValueError
            If the code or the language is unknown, or the entry has nothing in this language.
        """
        phrases = self.phrases(code, language)
        if not phrases:
            there = ", ".join(name for name in LANGUAGES if self._entry(code).get(name))
            raise ValueError(f"{code!r} has no description in the language {language!r}; it has {there}")
        return phrases[0]

    def phrases(self, code: str, language: str | None = None) -> list[str]:
        """Return the description and the synonyms of a code.

        Parameters
        ----------
        code : str
            As in `codes`.
        language : {"en", "de", "sv"} or None
            None means all languages.

        Raises
        ------
        ValueError
            If the code or the language is unknown. The message has close matches.
        """
        entry = self._entry(code)
        return [phrase for name in _languages(language, LANGUAGES) for phrase in entry.get(name, ())]

    def prompts(self, code: str, language: str | None = None) -> list[str]:
        """Return texts that say that an ECG shows a statement: the description and its best synonyms.

        Parameters
        ----------
        code : str
            As in `codes`.
        language : {"en", "de", "sv"} or None
            None means English and German.

        Returns
        -------
        list of str
            Three per language at most. Abbreviations are left out.

        Raises
        ------
        ValueError
            If the code or the language is unknown.
        """
        prompts: list[str] = []
        for name in _languages(language, ("en", "de")):
            written_out = [phrase for phrase in self.phrases(code, name) if any(map(str.islower, phrase[1:]))]
            prompts += written_out[:3]
        return list(dict.fromkeys(prompts))

    def prompts_for(self, codes: Iterable[str]) -> dict[str, list[str]]:
        """Return the prompts of several codes, in English and German.

        Raises
        ------
        ValueError
            If a code is unknown.
        """
        return {code: self.prompts(code) for code in codes}

    def concepts(self, text: str) -> list[str]:
        """Return the codes that a text names.

        The longest phrase wins. Umlauts, hyphens, and the endings of words make no difference. A phrase behind a denial
        ("kein", "no", "free of") or before one ("nicht nachweisbar", ": nein") does not count, one that is possible or
        cannot be excluded does. Denials are found by rules, which miss some.

        Parameters
        ----------
        text : str
            A report, a sentence or a prompt.

        Returns
        -------
        list of str
            Codes in the order of the text, then the more general codes of them. None comes twice.

        Raises
        ------
        TypeError
            If it is no text.
        """
        found = dict.fromkeys(code for code, denied in self._named(text) if not denied)
        return list(dict.fromkeys([*found, *(parent for code in found for parent in self.parents(code))]))

    def denied(self, text: str) -> list[str]:
        """Return the codes that a text names only to deny them.

        Parameters
        ----------
        text : str
            A report, a sentence or a prompt.

        Returns
        -------
        list of str
            Codes in the order of the text, without more general ones. None comes twice.

        Raises
        ------
        TypeError
            If it is no text.
        """
        named = list(self._named(text))
        true = {code for code, denied in named if not denied}
        return list(dict.fromkeys(code for code, _ in named if code not in true))

    def _named(self, text: str) -> Iterator[tuple[str, bool]]:
        """Yield the codes that a text names, and whether it denies them."""
        if not isinstance(text, str):
            raise TypeError(f"text must be one text, got {text!r:.80}")
        for sentence in sentences(text):
            yield from self._named_by(_words(sentence))

    def _named_by(self, words: list[str]) -> Iterator[tuple[str, bool]]:
        """Yield the codes that a sentence names, and whether it denies them."""
        stems = [_stem(word) for word in words]
        found: list[tuple[tuple[str, ...], bool]] = []
        # Whether a denial holds for the next word, whether "or" takes it up again, and whether the last phrase is tied
        # to the next one.
        denied, goes_on, tied, at = False, False, False, 0
        while at < len(words):
            codes, end = self._longest_at(stems, at)
            if codes:
                behind = bool(_DENIED_BEFORE.match(" ".join(words[end : end + 6])))
                if behind and tied:
                    # "A or B not seen" denies both.
                    found[-1] = (found[-1][0], True)
                found.append((codes, denied or behind))
                tied, at = not _OR.isdisjoint(words[end : end + 1]), end
                continue
            denied, goes_on = _denial_at(words, at, denied, goes_on)
            tied = tied and words[at] in _OR
            at += 1
        for codes, is_denied in found:
            yield from ((code, is_denied) for code in codes)

    def _longest_at(self, stems: list[str], at: int) -> tuple[tuple[str, ...], int]:
        """Return the codes of the longest phrase that starts at a word, and where the phrase ends."""
        best: tuple[str, ...] = ()
        joined, end = "", at
        for i in range(at, len(stems)):
            joined += stems[i]
            if len(joined) > self._longest:
                break
            codes = self._codes_of.get(joined)
            if codes and (i == at or len(joined) >= _SHORTEST_JOINED):
                best, end = codes, i + 1
        return best, end

    def _entry(self, code: str) -> Mapping[str, Any]:
        # PTB-XL writes some codes with a line behind, "NST_"; groups of statements go without.
        name = str(code)
        found = self._entries.get(name) or self._entries.get(f"{name}_")
        if found is None:
            raise ValueError(f"unknown code {name!r}{_close(code, self._entries)}")
        return found


def _denial_at(words: list[str], at: int, denied: bool, goes_on: bool) -> tuple[bool, bool]:
    """Return whether a denial holds for the next word, behind one of no phrase, and whether "or" takes it up again."""
    word = words[at]
    if word in _DENIALS or tuple(words[at : at + 2]) in _DENYING_PAIRS:
        return True, True
    goes_on = goes_on and not _ENDS_DENIAL.fullmatch(word)
    return (denied and word in _BETWEEN) or (goes_on and word in _OR), goes_on


@cache
def _load() -> Glossary:
    return Glossary(json.loads((files(__package__) / "glossary.json").read_text(encoding="utf-8")))


def _languages(language: str | None, default: tuple[str, ...]) -> tuple[str, ...]:
    if language is None:
        return default
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}; known are {', '.join(LANGUAGES)}")
    return (language,)


def _close(name: Any, names: Iterable[str]) -> str:
    by_upper = {known.upper(): known for known in names}
    close = [by_upper[match] for match in get_close_matches(str(name).upper(), by_upper, cutoff=0.5)]
    return f"; close matches: {', '.join(close)}" if close else "; see Glossary.codes"
