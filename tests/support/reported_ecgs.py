"""Simulated ECGs with reports in German: atrial fibrillation or sinus rhythm."""

import numpy as np

from beatssl_sklearn import ReportAligner, make_ecg

GERMAN = {
    "af": ["Vorhofflimmern.", "Absolute Arrhythmie bei Vorhofflimmern.", "Vorhofflimmern. Unspezifische ST-Senkung."],
    "sinus": ["Sinusrhythmus. Normales EKG.", "Normaler Sinusrhythmus.", "Sinusrhythmus. Linkstyp. Normales EKG."],
}


def reported(n, seed, **changes):
    """Return simulated ECGs, and a report of each in German."""
    ecg = make_ecg(n, **{"rhythm": ["sinus", "af"], "fs": 100, "duration": 5, "random_state": seed, **changes})
    rng = np.random.default_rng(seed)
    return ecg, [str(rng.choice(GERMAN[rhythm])) for rhythm in ecg.rhythm]


def make(pretrainer="ptbxl-s", **changes):
    """Return an aligner that is fitted in no time."""
    return ReportAligner(pretrainer, **{"fs": 100, "max_epochs": 3, "random_state": 0, "device": "cpu", **changes})
