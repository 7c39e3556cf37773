"""What a file may set of estimators around an encoder; called by their `_check_file`."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from .._file_values import check_arrays, check_classes, check_described, check_type
from ..components import check_number
from ..nn.devices import check_precision
from ..persistence import shipped_models
from ..quality.reliable import check_reliable
from .encoder_checks import check_reading, outline_of
from .fitted_encoder import FittedEncoder


def check_embedder(embedder: Any) -> None:
    """Check an embedder that a file describes.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter.
    """
    check_described(embedder)
    check_reading(vars(embedder))
    check_number("batch_size", embedder.batch_size, Integral, 1)
    check_precision(embedder.precision)
    check_reliable(embedder.reliable)
    for name in ("timing", "morphology", "align"):
        check_type(name, getattr(embedder, name, False), bool)
    check_start(embedder.pretrainer)
    check_type("pretrainer", getattr(embedder.pretrainer, "encoder_", embedder.pretrainer), FittedEncoder)


def check_start(pretrainer: Any) -> None:
    """Refuse a pretrainer that is a path: a file may name shipped models only, not other files.

    Raises
    ------
    ValueError
        Naming the path.
    """
    if isinstance(pretrainer, str) and pretrainer not in shipped_models():
        raise ValueError(f"pretrainer={pretrainer!r:.120} is the name of no shipped model")


def check_labelled(estimator: Any) -> None:
    """Check what estimators that train an encoder on labels have in common.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter or attribute.
    """
    check_described(estimator)
    check_reading(vars(estimator))
    check_start(estimator.pretrainer)
    start = estimator.pretrainer
    if not isinstance(start, (str, type(None))) and not hasattr(start, "untrained_encoder"):
        check_type("pretrainer", getattr(start, "encoder_", start), FittedEncoder)


def check_head(encoder: Any, head: Any, classes: Any, multi_label: Any) -> None:
    """Check the linear head of a classifier on an encoder's embedding.

    Raises
    ------
    TypeError, ValueError
        If sizes do not fit each other.
    """
    check_type("multi_label_", multi_label, bool)
    n_classes = check_classes("classes_", classes)
    check_linear_head(encoder, head, 1 if n_classes == 2 and not multi_label else n_classes)


def check_linear_head(encoder: Any, head: Any, n_outputs: int) -> None:
    """Check a linear head of some outputs on an encoder's embedding.

    Raises
    ------
    TypeError, ValueError
        If sizes do not fit each other.
    """
    check_type("encoder_", encoder, FittedEncoder)
    outline = outline_of(encoder)
    n_dims = None
    if outline is not None:
        n_dims = int(outline.n_dims_record + encoder.front_end.beat_phases * outline.n_dims)
    check_type("head_", head, dict)
    shapes: dict[str, tuple[int | None, ...]] = {"norm.running_mean": (n_dims,), "norm.running_var": (n_dims,)}
    shapes |= {"linear.weight": (n_outputs, n_dims), "linear.bias": (n_outputs,)}
    check_arrays("head_", head, shapes | {name: () for name in head if name == "norm.num_batches_tracked"})
    if (head["norm.running_var"] < 0).any():
        raise ValueError("head_ has a negative variance")
