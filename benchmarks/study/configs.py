"""Named settings of the study: the rows of its tables, and the ablations' grids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sklearn.base import clone

from beatssl_sklearn import BeatSSL, BeatSSLPretrainer, VCGViews

from .trials import AveragedBeatSSL, TeacherBeatSSL, WindowsBeatSSL

NO_PREDICTION: dict[str, Any] = {"feature_weight": 0.0, "beat_feature_weight": 0.0}
CONTRAST: dict[str, Any] = {"rhythm_targets": "soft", "beat_targets": "hard"}

PRETRAINED: dict[str, BeatSSL] = {
    # 3KG as Gopal et al. 2021 describe it: instance discrimination on rotated, scaled and masked VCGs.
    "hard": BeatSSL("hard", "none", views=VCGViews.three_kg(), **NO_PREDICTION),
    "paper": BeatSSL.paper(),
    "contrast": BeatSSL(),
    "ours": BeatSSL.shipped(),
}
NETWORKS = ("random", *PRETRAINED)
"""Rows with a frozen encoder."""
ROWS = ("random", "features", "hard", "paper", "ours", "supervised")
"""Rows of the tables: "features" are the hand features without a network, "supervised" has no pretraining."""

MEANING = {
    "random": "encoder as initialised",
    "features": "hand features, no network",
    "boosting": "hand features, gradient boosting",
    "hard": "hard targets, 3KG views, no beat term, no predictions",
    "paper": "the publication's best setting, as far as it is stated",
    "contrast": "the package's defaults: soft contrast of records, hard of beats, and predictions",
    "ours": "predictions of features, no contrast: what ships",
    "supervised": "same network, from scratch on the labels",
    "finetuned": "pretrained network, fine-tuned on the labels",
}


class Setting(NamedTuple):
    """What a row of an ablation pretrains: its objective, and the parameters of the pretrainer that it changes."""

    objective: BeatSSL
    changes: Mapping[str, Any] = {}


def encoder_params(size: str, widths: tuple[int, int, int] | None = None) -> dict[str, Any]:
    """Return parameters of beatnet: a named size, with other widths of the blocks for trials."""
    return {"size": size} if widths is None else {"size": size, "widths": list(widths)}


def make_pretrainer(
    name: str,
    seed: int,
    *,
    encoder: dict[str, Any],
    objective: BeatSSL | None = None,
    changes: Mapping[str, Any] | None = None,
    **run: Any,
) -> BeatSSLPretrainer:
    """Make the unfitted pretrainer of a row.

    Parameters
    ----------
    name : str
        A key of `PRETRAINED`. "random" is trained for no epoch.
    seed : int
    encoder : dict
        ``encoder_params``.
    objective : BeatSSL, default=None
        None is the row's objective; for other names, the package's default.
    changes : mapping, default=None
        Parameters that differ from the row's, also ``objective__views__angle``. The ``encoder_params`` are added to
        `encoder`.
    **run
        Parameters of the run: ``max_epochs``, ``batch_size``, ``device``, ``checkpoint_dir``, ...
    """
    own = dict(changes or {})
    chosen = own.pop("encoder_params", None) or {}
    if "size" in chosen:  # a size sets all widths
        encoder = {k: v for k, v in encoder.items() if k not in ("widths", "n_dims")}
    if name == "random":
        run["max_epochs"] = 0
    # Settings are shared by all fits, and `set_params` would change them.
    objective = clone(PRETRAINED.get(name, BeatSSL()) if objective is None else objective)
    pretrainer = BeatSSLPretrainer(objective, fs=100, encoder_params={**encoder, **chosen}, random_state=seed)
    return pretrainer.set_params(**{**own, **run})


class PaperRow(NamedTuple):
    """A row of the publication's ablation with the scores in it (single runs, no intervals)."""

    rhythm: str
    beat: str
    exponent: int
    auroc: float
    f1: float


# fmt: off
PAPER_TABLE = (
    PaperRow("hard", "none", 1, .811, .595), PaperRow("hard", "hard", 1, .797, .551),
    PaperRow("hard", "soft_1", 1, .789, .552), PaperRow("hard", "soft_1", 50, .794, .540),
    PaperRow("hard", "soft_2", 1, .795, .567), PaperRow("soft_1", "none", 1, .834, .593),
    PaperRow("soft_1", "none", 50, .814, .572), PaperRow("soft_1", "hard", 1, .681, .247),
    PaperRow("soft_1", "hard", 50, .843, .622), PaperRow("soft_1", "soft_1", 1, .704, .389),
    PaperRow("soft_1", "soft_1", 50, .833, .598), PaperRow("soft_2", "none", 1, .797, .534),
    PaperRow("soft_2", "hard", 1, .801, .525), PaperRow("soft_2", "soft_2", 1, .805, .537),
)
# fmt: on


def paper_objective(row: PaperRow) -> BeatSSL:
    """Return the objective of a row of the publication's ablation.

    The publication does not say how its two soft strategies differ. This is our reading: soft_1 is the matrix of its
    figure, similarities beside the other view's 1, where similar records take nearly all of the target; soft_2 gives
    half of it to the other view. For beats, which have no such matrix here, soft_1 is a soft fraction of 1.
    """
    return BeatSSL(
        {"hard": "hard", "soft_1": "paper", "soft_2": "soft"}[row.rhythm],
        row.beat.split("_")[0],
        similarity="cosine",
        exponent=row.exponent,
        soft_fraction=1.0 if row.beat == "soft_1" else 0.5,
        views=VCGViews.three_kg(),
        **NO_PREDICTION,
    )


def _shipped(kind: type[BeatSSL] = BeatSSL, **changes: Any) -> BeatSSL:
    """Return what ships, changed; views by ``views__angle``."""
    return kind.shipped().set_params(**changes)


def _records(kind: type[BeatSSL] = BeatSSL, **changes: Any) -> BeatSSL:
    """Return what ships with a contrast of records in place of the predictions, changed."""
    return _shipped(kind, **{"rhythm_targets": "soft", **NO_PREDICTION, **changes})


_ONE_CHANGE: dict[str, BeatSSL | Setting] = {
    "no prediction of record features": _shipped(feature_weight=0.0),
    "no prediction of beat features": _shipped(beat_feature_weight=0.0),
    "contrast of records too": _shipped(rhythm_targets="soft"),
    "contrast of beats too": _shipped(beat_targets="hard"),
    "contrast of both too": _shipped(**CONTRAST),
    "contrast of both instead": _shipped(**CONTRAST, **NO_PREDICTION),
    "contrast of records instead": _records(),
    "contrast of records instead, soft fraction 1": _records(soft_fraction=1.0),
    "contrast of records instead, perplexity 30": _records(perplexity=30),
    "contrast of records instead, temperature .2": _records(temperature=0.2),
    "contrast of records instead, patients positive": _records(same_group="positive"),
    "hard contrast of records instead": _records(rhythm_targets="hard"),
    "amplitude relative": Setting(_shipped(), {"amplitude": "relative"}),
    "one phase": Setting(_shipped(), {"beat_phases": 1}),
    "angle 0": _shipped(views__angle=0, views__scale=(1, 1)),
    "angle 30": _shipped(views__angle=30, views__scale=(1 / 1.3, 1.3)),
    "3KG views": _shipped(views=VCGViews.three_kg(lead_subset=0.25)),
    "mask 0": _shipped(views__mask_ratio=0),
    "mask .5": _shipped(views__mask_ratio=0.5),
    "all leads always": _shipped(views__lead_subset=0.0),
    "learning rate 3e-3": Setting(_shipped(), {"lr": 3e-3}),
    "tokens of 48": Setting(_shipped(), {"encoder_params": {"n_dims": 48}}),
    "tokens of 192": Setting(_shipped(), {"encoder_params": {"n_dims": 192}}),
    "averaged weights": _shipped(AveragedBeatSSL),
    "one window of 5 s, no prediction of beat features": _shipped(WindowsBeatSSL, beat_feature_weight=0.0),
    "contrast of two windows of 5 s instead": _records(WindowsBeatSSL),
    "contrast of records instead, momentum teacher": _records(TeacherBeatSSL),
    "contrast of both too, momentum teacher": _shipped(TeacherBeatSSL, **CONTRAST),
}


def one_change_rows() -> dict[str, Setting]:
    """Return what ships, and each change of it."""
    rows = {"ours": _shipped(), **_ONE_CHANGE}
    return {name: row if isinstance(row, Setting) else Setting(row) for name, row in rows.items()}


SIZES = {f"size {s}": Setting(_shipped(), {"encoder_params": {"size": s}}) for s in "sml"}
