"""What a `ReportAligner` may be set to, by its constructor and by a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from .._file_values import check_array, check_described, check_type
from ..components import Bounds, Limits, check_bounds
from ..embedding.encoder_checks import check_reading
from ..embedding.file_checks import check_start
from ..embedding.fitted_encoder import FittedEncoder
from ..inputs.plausibility import check_choice
from ..nn.devices import check_precision
from .parameters import checked_objective
from .report_alignment import ReportAlignment
from .report_fit import restored_heads

_BOUNDS: dict[str, Limits] = {
    "allow_nan": bool,
    "keep_records": bool,
    "max_epochs": Bounds(Integral, 0, or_none=True),
    "batch_size": Bounds(Integral, 2),
    "lr": Bounds(Real, 0),
    "encoder_lr": Bounds(Real, 0, or_none=True),
    "weight_decay": Bounds(Real, 0),
    "n_views": Bounds(Integral, 1, 64, or_none=True),
}


def check_aligner(parameters: Mapping[str, Any]) -> None:
    """Check the parameters of a `ReportAligner` but for its pretrainer and objective.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and its value.
    """
    check_bounds(parameters, _BOUNDS)
    check_precision(parameters["precision"])
    check_choice(parameters["check"])
    folder = parameters["checkpoint_dir"]
    if folder is not None and not isinstance(folder, (str, os.PathLike)):
        raise TypeError(f"checkpoint_dir must be a folder's path or None, got {folder!r}")
    if folder is not None and parameters["random_state"] is None:
        raise ValueError("checkpoint_dir needs a random_state other than None: a resumed run repeats its draws")


def check_aligner_file(aligner: Any) -> None:
    """Check an aligner that a file describes.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    check_described(aligner)
    check_reading(vars(aligner))
    check_aligner(aligner.get_params(deep=False))
    check_start(aligner.pretrainer)
    objective = aligner.component("objective", ReportAlignment)
    check_type("objective", objective, ReportAlignment)
    checked_objective(objective)
    if not hasattr(aligner, "heads_"):
        return
    check_type("trained_", aligner.trained_, FittedEncoder, type(None))
    check_type("reading_", aligner.reading_, dict)
    check_type("encoder_digest_", aligner.encoder_digest_, str)
    if set(aligner.reading_) != {"fs", "leads", "n_leads", "allow_nan"}:
        raise ValueError(f"reading_ must have fs, leads, n_leads and allow_nan, got {sorted(aligner.reading_)!r:.120}")
    check_type("objective_", aligner.objective_, ReportAlignment)
    aligner.objective_._check_file()
    check_type("heads_", aligner.heads_, dict)
    for name, array in aligner.heads_.items():
        check_array(f"heads_[{name!r}]", array, "fiub", *getattr(array, "shape", ()))
    restored_heads(aligner.objective_, aligner.encoder_.model("cpu"), aligner.heads_)
    check_array("gallery_", aligner.gallery_, "f", None, int(aligner.objective_.projection_dim))
    if not len(aligner.gallery_):
        raise ValueError("gallery_ holds no record")
    check_array("gallery_rows_", aligner.gallery_rows_, "iu", len(aligner.gallery_))
    check_array("captions_", aligner.captions_, "U", None)
