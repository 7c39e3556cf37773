"""Named settings of the study: the rows of its tables, and the ablations' grids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sklearn.base import clone

from beatssl_sklearn import (
    BeatSSL,
    BeatSSLPretrainer,
    DualStream,
    GumbelQuantizer,
    LeadAgnostic,
    LeadMasking,
    NoViews,
    Objective,
    Pretrainer,
    Sum,
    VCGViews,
)

from .latent import FutureBeatSSL, LatentBeatSSL
from .trials import AveragedBeatSSL, TaughtBeatSSL, TeacherBeatSSL, WindowsBeatSSL

NO_PREDICTION: dict[str, Any] = {"feature_weight": 0.0, "beat_feature_weight": 0.0}
CONTRAST: dict[str, Any] = {"rhythm_targets": "soft", "beat_targets": "hard"}


class Setting(NamedTuple):
    """What a row pretrains: its objective, and the parameters of the pretrainer that it changes."""

    objective: Objective
    changes: Mapping[str, Any] = {}


BEATNET: dict[str, Any] = {"encoder": "beatnet"}
TRANSFORMER: dict[str, Any] = {"encoder": "transformer"}
STREAMS: dict[str, Any] = {"encoder": "dual_stream"}
FEW_LEADS = VCGViews(lead_subset=0.75)
# Random leads for both segments, and the same rotation and masking as ours.
SEGMENTS = LeadAgnostic(local_weight=0.0, views=VCGViews(lead_subset=0.75))

PRETRAINED: dict[str, Setting] = {
    # 3KG as Gopal et al. 2021 describe it: instance discrimination on rotated, scaled and masked VCGs.
    "hard": Setting(BeatSSL("hard", "none", views=VCGViews.three_kg(), **NO_PREDICTION)),
    "paper": Setting(BeatSSL.paper()),
    "contrast": Setting(BeatSSL()),
    "ours": Setting(BeatSSL.shipped()),
    "few-leads": Setting(BeatSSL.shipped(views=FEW_LEADS)),
    "taught": Setting(TaughtBeatSSL.shipped(views=FEW_LEADS)),
    "sum": Setting(Sum([BeatSSL.shipped(views=FEW_LEADS), SEGMENTS])),
    "contrast-patients": Setting(BeatSSL(same_group="positive", views=VCGViews(lead_subset=0.25))),
    "lead-agnostic": Setting(LeadAgnostic(), TRANSFORMER),
    "lead-agnostic-12": Setting(LeadAgnostic(views=NoViews()), TRANSFORMER),
    "lead-agnostic-beatnet": Setting(LeadAgnostic(local_weight=0.0), BEATNET),
    "dual-stream": Setting(DualStream(), STREAMS),
    "dual-stream-record": Setting(DualStream(positive="record"), STREAMS),
}
UNTRAINED: dict[str, Setting] = {
    "random": Setting(BeatSSL()),
    "random-transformer": Setting(LeadAgnostic(), TRANSFORMER),
    "random-dual-stream": Setting(DualStream(), STREAMS),
}
NETWORKS = (*UNTRAINED, *PRETRAINED)
"""Rows with a frozen encoder."""
ROWS = ("random", "features", "hard", "paper", "ours", "supervised")
"""Rows of the tables: "features" are the hand features without a network, "supervised" has no pretraining."""

MEANING = {
    "random": "encoder as initialised",
    "features": "hand features, no network",
    "minirocket": "MiniRocket of aeon, 9,996 numbers, no training",
    "waves": "WaveMeasures: 262 measures of the delineation",
    "boosting": "hand features, gradient boosting",
    "hard": "hard targets, 3KG views, no beat term, no predictions",
    "paper": "the publication's best setting, as far as it is stated",
    "contrast": "the package's defaults: soft contrast of records, hard of beats, and predictions",
    "ours": "predictions of features, no contrast: what ships",
    "few-leads": "as ours, with a random subset of the leads in three of four views",
    "taught": "as few-leads, and predicts what ours embeds of all leads",
    "sum": "few-leads and the contrast of two segments with random leads",
    "contrast-patients": "contrast, with records of a patient as positives",
    "lead-agnostic": "hidden tokens, two segments, random leads; transformer",
    "lead-agnostic-12": "the same without random leads",
    "lead-agnostic-beatnet": "two segments with random leads, no hidden tokens; beatnet",
    "dual-stream": "lead groups, segments and patients; dual_stream",
    "dual-stream-record": "the same with records as positives",
    "random-transformer": "transformer as initialised",
    "random-dual-stream": "dual_stream as initialised",
    "supervised": "same network, from scratch on the labels",
    "finetuned": "pretrained network, fine-tuned on the labels",
}


def encoder_params(size: str, widths: tuple[int, int, int] | None = None) -> dict[str, Any]:
    """Return parameters of beatnet: a named size, with other widths of the blocks for trials."""
    return {"size": size} if widths is None else {"size": size, "widths": list(widths)}


def make_pretrainer(
    name: str,
    seed: int,
    *,
    encoder: dict[str, Any],
    objective: Objective | None = None,
    changes: Mapping[str, Any] | None = None,
    **run: Any,
) -> Pretrainer:
    """Make the unfitted pretrainer of a row.

    Parameters
    ----------
    name : str
        A key of `PRETRAINED` or `UNTRAINED`; the latter are trained for no epoch.
    seed : int
    encoder : dict
        ``encoder_params`` of beatnet.
    objective : Objective, default=None
        None is the row's objective; for other names, the package's default.
    changes : mapping, default=None
        Parameters that differ from the row's, also ``objective__views__angle``. The ``encoder_params`` are added to
        `encoder`. A row with another network than beatnet keeps it, with its defaults.
    **run
        Parameters of the run: ``max_epochs``, ``batch_size``, ``device``, ``checkpoint_dir``, ...
    """
    own = dict(changes or {})
    chosen = own.pop("encoder_params", None) or {}
    row = {**UNTRAINED, **PRETRAINED}.get(name, Setting(BeatSSL()))
    own.update(row.changes)
    if own.get("encoder") not in (None, "beatnet"):
        encoder = chosen if objective is not None else {}
    elif "size" in chosen:  # a size sets all widths
        encoder = {**{k: v for k, v in encoder.items() if k not in ("widths", "n_dims")}, **chosen}
    else:
        encoder = {**encoder, **chosen}
    if name in UNTRAINED:
        run["max_epochs"] = 0
    # Settings are shared by all fits, and `set_params` would change them.
    objective = clone(row.objective if objective is None else objective)
    kind = BeatSSLPretrainer if isinstance(objective, BeatSSL) else Pretrainer
    pretrainer = kind(objective, fs=100, encoder_params=encoder, random_state=seed)
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
    "hidden tokens too": _shipped(LatentBeatSSL),
    "hidden tokens instead": _shipped(LatentBeatSSL, **NO_PREDICTION),
    "tokens ahead too": _shipped(FutureBeatSSL),
    "tokens ahead instead": _shipped(FutureBeatSSL, **NO_PREDICTION),
}


def one_change_rows() -> dict[str, Setting]:
    """Return what ships, and each change of it."""
    rows = {"ours": _shipped(), **_ONE_CHANGE}
    return {name: row if isinstance(row, Setting) else Setting(row) for name, row in rows.items()}


SIZES = {f"size {s}": Setting(_shipped(), {"encoder_params": {"size": s}}) for s in "sml"}

LEAD_AGNOSTIC_ROWS: dict[str, Setting] = {
    "random": UNTRAINED["random-transformer"],
    "all losses": PRETRAINED["lead-agnostic"],
    "no local loss": Setting(LeadAgnostic(local_weight=0.0), TRANSFORMER),
    "no global loss": Setting(LeadAgnostic(global_weight=0.0), TRANSFORMER),
    "no penalty": Setting(LeadAgnostic(penalty_weight=0.0), TRANSFORMER),
    "codebooks": Setting(LeadAgnostic(quantizer=GumbelQuantizer()), TRANSFORMER),
    "no random leads": PRETRAINED["lead-agnostic-12"],
    "random subsets of leads": Setting(LeadAgnostic(views=LeadMasking(subset=1.0)), TRANSFORMER),
    "segments of two records": Setting(LeadAgnostic(cross_record=True), TRANSFORMER),
}
DUAL_STREAM_ROWS: dict[str, Setting] = {
    "random": UNTRAINED["random-dual-stream"],
    "all losses": PRETRAINED["dual-stream"],
    "no fused loss": Setting(DualStream(fused_weight=0.0), STREAMS),
    "no segment loss": Setting(DualStream(segment_weight=0.0), STREAMS),
    "no lead loss": Setting(DualStream(lead_weight=0.0), STREAMS),
    "cross loss, too": Setting(DualStream(cross_weight=0.5), STREAMS),
    "records as positives": PRETRAINED["dual-stream-record"],
    "3KG views": Setting(DualStream(views=VCGViews.three_kg()), STREAMS),
    "masked time only": Setting(DualStream(views=VCGViews(angle=0, scale=(1, 1), mask_ratio=0.5)), STREAMS),
    "random leads": Setting(DualStream(views=VCGViews(lead_subset=0.25)), STREAMS),
}
