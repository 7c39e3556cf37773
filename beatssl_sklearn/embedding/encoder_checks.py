"""What a file may set of an encoder, and how it may describe X."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

from torch import nn

from .._file_values import check_array, check_arrays, check_type
from ..components import check_number
from ..ecg.preprocess import check_fs
from ..inputs.checks import name_leads
from ..inputs.front_end import FrontEnd
from ..inputs.plausibility import check_choice
from ..nn.encoders import encoder_outline
from ..nn.weights import shapes_of
from .readout import Readout


def check_encoder(encoder: Any) -> None:
    """Check a `FittedEncoder` that a file describes; weights must be those of the network that its parameters name.

    Raises
    ------
    TypeError, ValueError
        The message names the field.
    """
    check_type("front_end", encoder.front_end, FrontEnd)
    check_encoder_name(encoder.encoder, encoder.encoder_params)
    check_fs(encoder.fs)
    check_reading(vars(encoder))
    if encoder.n_leads is not None:
        check_number("n_leads", encoder.n_leads, Integral, 1)
    outline = outline_of(encoder)
    check_readout(encoder, outline)
    if outline is not None:
        check_arrays("weights", encoder.weights, shapes_of(outline))
    else:
        # Only the user's own class knows its shapes; they are compared when it is built.
        check_type("weights", encoder.weights, dict)
        for name, array in encoder.weights.items():
            check_array(f"weights[{name!r}]", array, "fiub", *getattr(array, "shape", ()))


def check_readout(encoder: Any, outline: Any) -> None:
    """Refuse a readout of embeddings of another width.

    Raises
    ------
    TypeError, ValueError
        The message names the field.
    """
    if encoder.readout is None:
        return
    check_type("readout", encoder.readout, Readout)
    if outline is not None:
        n_dims = int(outline.n_dims_record + encoder.front_end.beat_phases * outline.n_dims)
        check_array("readout.weight", encoder.readout.weight, "f", n_dims, None)


def check_encoder_name(encoder: Any, params: Any) -> None:
    """Refuse an encoder that is neither a name nor a registered module, and parameters that are no dict.

    Raises
    ------
    TypeError
        The message names the parameter.
    """
    if not isinstance(encoder, str) and not (isinstance(encoder, type) and issubclass(encoder, nn.Module)):
        raise TypeError(f"encoder must be a name or a registered torch.nn.Module, got {encoder!r:.80}")
    if params is not None:
        check_type("encoder_params", params, Mapping)


def outline_of(encoder: Any) -> nn.Module | None:
    """Return the network of a `FittedEncoder` without the memory of its weights; None for a class of the user's."""
    if not isinstance(encoder.encoder, str):
        return None
    return encoder_outline(encoder.encoder, encoder.front_end.fs_model, encoder.encoder_params)


def check_reading(parameters: Mapping[str, Any]) -> None:
    """Check the parameters that describe X, and `check`; None is allowed where they have a default.

    Raises
    ------
    TypeError, ValueError
        The message names the parameter.
    """
    if parameters["fs"] is not None:
        check_fs(parameters["fs"])
    leads = parameters["leads"]
    if leads is not None:
        check_type("leads", leads, str, list, tuple)
        for lead in leads:
            check_type("leads", lead, str)
        name_leads(leads, 1 if isinstance(leads, str) else len(leads))
    check_type("allow_nan", parameters.get("allow_nan", False), bool, type(None))
    check_choice(parameters.get("check", "warn"))
