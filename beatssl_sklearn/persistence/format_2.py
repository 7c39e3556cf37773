"""Files of format 2, from before objectives: a pretrainer of 37 parameters, perhaps with something around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

# Views of format 2 by their names, as changes of the defaults of `VCGViews`.
_VIEWS: dict[str, dict[str, Any]] = {
    "vcg": {},
    "3kg": {"angle": 45.0, "scale": {"tuple": [1.0, 1.5]}, "mask_ratio": 0.5, "residual": False},
    "none": {"angle": 0.0, "scale": {"tuple": [1.0, 1.0]}, "mask_ratio": 0.0},
}
_OBJECTIVE = (
    *("rhythm_targets", "beat_targets", "temperature", "projection_dim", "similarity", "exponent", "perplexity"),
    *("soft_fraction", "beat_weight", "same_group", "feature_weight", "beat_feature_weight"),
)


def upgraded(config: dict[str, Any], arrays: Mapping[str, NDArray]) -> dict[str, Any]:
    """Return the description that format 3 has of a file of format 2.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        If it is no such file.
    """
    old, fitted = dict(config["parameters"]), config["fitted"]
    views = _VIEWS[old.pop("augment")] | (old.pop("augment_params") or {"dict": {}})["dict"]
    if isinstance(views.get("scale"), list):
        views["scale"] = {"tuple": views["scale"]}
    objective = {name: old.pop(name) for name in _OBJECTIVE}
    objective["views"] = {"class": "VCGViews", "parameters": views, "fitted": {}}
    front = {k: old[k] for k in ("fs_model", "amplitude", "rpeak_detector", "beat_window", "beat_phases")}
    prefix = "encoder."
    weights = {k.removeprefix(prefix): {"array": k} for k in arrays if k.startswith(prefix)}
    encoder: dict[str, Any] = {k: old[k] for k in ("encoder", "encoder_params", "fs", "leads", "allow_nan")}
    encoder |= {"weights": {"dict": weights}, "n_leads": fitted["n_leads_"]}
    encoder["front_end"] = {"class": "FrontEnd", "fields": front}
    encoder_ = {"class": "FittedEncoder", "fields": encoder}
    others = {k: {"array": k} for k in arrays if not k.startswith(prefix)}
    if "segmenter" in config:
        segmenter = config["segmenter"]
        unet = {k: segmenter["parameters"][k] for k in ("fs_model", "widths")}
        unet |= {"encoder": encoder_, "weights": {"dict": others}}
        own = dict(segmenter["parameters"])
        augment = own.pop("augment_params")
        if augment is not None:
            augment = {"class": "WaveAugment", "parameters": augment["dict"], "fitted": {}}
        whole = {
            "class": "WaveSegmenter",
            "parameters": {**own, "augment": augment, "pretrainer": encoder_},
            "fitted": {**_with_history(segmenter["fitted"]), "unet_": {"class": "FittedUNet", "fields": unet}},
        }
        return {**whole, "version": config["version"], "half": True}
    trained = {"class": "BeatSSL", "parameters": objective, "fitted": {}}
    found: dict[str, Any] = {
        "class": "BeatSSLPretrainer",
        "parameters": {**old, "objective": trained},
        "fitted": _with_history({k: fitted[k] for k in ("history_", "n_iter_", "device_", "n_features_in_")}),
    }
    found["fitted"] |= {"encoder_": encoder_, "objective_": trained, "heads_": {"dict": others}}
    if "embedder" in config:
        embedder = config["embedder"]
        own = {**embedder["parameters"], "pretrainer": found}
        kept = embedder.get("n_features_in")
        fitted = {} if kept is None else {"n_features_in_": kept}
        found = {"class": embedder["class"], "parameters": own, "fitted": fitted}
    return {**found, "version": config["version"], "half": True}


def _with_history(fitted: Mapping[str, Any]) -> dict[str, Any]:
    return {**fitted, "history_": [{"dict": row} for row in fitted["history_"]]}
