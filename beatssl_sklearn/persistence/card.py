"""The card of a model in a repository: what it is, how to load it, and what it is not for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .._version import __version__

__all__ = ["model_card"]

_WARNING = (
    "**For research only. This is not a medical device.** It must not be used to diagnose, to treat, to monitor or to "
    "decide about a patient."
)
_HEADER = "---\nlibrary_name: beatssl_sklearn\ntags:\n- ecg\n- electrocardiogram\n- scikit-learn\n---\n\n"


def model_card(model: Any, repo_id: str, digest: str, card: str | os.PathLike[str] | None = None) -> str:
    """Return the card of a model as Markdown, with the header that hubs read.

    Parameters
    ----------
    model : estimator
        Fitted.
    repo_id : str
        Where it is kept.
    digest : str
        SHA-256 of its file.
    card : str, path or None
        The card's text, or the path of a file of it; None writes one.

    Returns
    -------
    str
        A header is put before a text that has none, and "For research only" after one that does not say so.

    Raises
    ------
    ValueError
        If the text is empty, or is the path of a file rather than a text.
    OSError
        If the file cannot be read.
    """
    text = _generated(model, repo_id, digest) if card is None else _given(card)
    if "research only" not in text.lower():
        text = f"{text.rstrip()}\n\n{_WARNING}\n"
    return text if text.startswith("---\n") else _HEADER + text


def _given(card: str | os.PathLike[str]) -> str:
    if isinstance(card, str) and "\n" not in card and card.endswith(".md"):
        raise ValueError(f"card={card!r:.120} is taken for the text of a card; pass pathlib.Path({card!r:.80})")
    text = card if isinstance(card, str) else Path(card).read_text(encoding="utf-8")
    if not text.strip():
        raise ValueError("card is empty; None writes one")
    return text


def _generated(model: Any, repo_id: str, digest: str) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in _facts(model).items())
    return f"""# {repo_id.partition("/")[2]}

A `{type(model).__name__}` of [beatssl_sklearn](https://pypi.org/project/beatssl-sklearn/), a package for
electrocardiograms (ECGs).

{_WARNING}

```python
from beatssl_sklearn import from_pretrained

model = from_pretrained("{repo_id}")
```

| | |
|---|---|
{rows}
| saved by version | {__version__} |
| SHA-256 of the file | `{digest}` |

What it was trained on, how well it does, and on whom: not stated yet. The owner of this repository knows.
"""


def _facts(model: Any) -> dict[str, Any]:
    """Return what a user of a model must know, where the model has it."""
    encoder = getattr(model, "encoder_", None)
    facts = {
        "class": f"`{type(model).__name__}`",
        "sampling rate of arrays [Hz]": getattr(encoder, "fs", None),
        "leads of arrays": ", ".join(getattr(encoder, "leads", None) or ()) or None,
        "classes": ", ".join(str(c) for c in getattr(model, "classes_", ())) or None,
        "epochs": getattr(model, "n_iter_", None) if hasattr(model, "history_") else None,
    }
    return {name: value for name, value in facts.items() if value is not None}
