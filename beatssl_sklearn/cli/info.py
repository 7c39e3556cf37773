"""The command `beatssl info`."""

from __future__ import annotations

import argparse

from .folder import say


def run_info(arguments: argparse.Namespace) -> int:
    from .. import load

    model = load(arguments.model)
    pretrainer = getattr(model, "pretrainer", model)
    trained = model if hasattr(model, "history_") else pretrainer
    last = trained.history_[-1] if trained.history_ else {}
    encoder = [a for name, a in pretrainer.weights_.items() if name.startswith("encoder.")]
    settings = ", ".join(f"{k}={v}" for k, v in (pretrainer.encoder_params or {}).items())
    rows = {
        "class": type(model).__name__,
        "encoder": f"{pretrainer.encoder} {settings}".strip(),
        "encoder parameters": f"{sum(a.size for a in encoder):,}",
        "rate of the network": f"{pretrainer.fs_model:g} Hz",
        "dimensions per record": pretrainer._n_features_out,
        "epochs": trained.n_iter_,
        "last training loss": f"{last['train_loss']:.4f}" if last else "none (random initialisation)",
        "R-peak detector": pretrainer.rpeak_detector,
        "beat window": "{:g} s before to {:g} s after the R peak".format(*pretrainer.beat_window),
        "missing samples": "allowed" if pretrainer.allow_nan else "refused",
    }
    for name, value in rows.items():
        say(f"{name:24s}{value}")
    return 0
