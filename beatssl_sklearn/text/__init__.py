"""Texts about ECGs: reports, a glossary of statements, and encoders that turn texts into vectors."""

from .callable_text import CallableText
from .encoder import TextEncoder
from .glossary import Glossary
from .report_encoder import ReportTextEncoder
from .reports import check_reports, normalised, sentences
from .tfidf import TfidfText
from .vocabulary import WordVocabulary

__all__ = [
    "CallableText",
    "Glossary",
    "ReportTextEncoder",
    "TextEncoder",
    "TfidfText",
    "WordVocabulary",
    "check_reports",
    "normalised",
    "sentences",
]
