"""
P, QRS, T and intervals
=======================

``WaveSegmenter.load("waves")`` marks onset, peak and offset of each wave in each lead.

With ``BEATSSL_DATA``, the record is one of LUDB (Kalyakulina et al. 2020, ODC-BY) that the network was trained on: the
picture shows what the marks look like, not how good they are (:doc:`/delineation`). Without, the record is simulated.
"""

import os
from pathlib import Path

from beatssl_sklearn import ECGRecord, WaveSegmenter, beat_intervals, make_ecg, read_wfdb, record_intervals
from beatssl_sklearn.plotting import plot_delineation

ludb = Path(os.environ.get("BEATSSL_DATA", "none"), "ludb", "data")
ecg = make_ecg(1, random_state=3)
record = read_wfdb(ludb / "1") if ludb.is_dir() else ECGRecord(ecg.data[0], ecg.fs, ecg.leads)

# %%
# ``consensus=True`` adds the waves that enough leads agree on. The intervals come from these.

waves = WaveSegmenter.load("waves").delineate([record], consensus=True)
print(record_intervals(waves).round()[["heart_rate", "PR", "QRS", "QT", "QTcF"]].to_string())
print(beat_intervals(waves).round()[["RR", "PR", "QRS", "QT"]].head(4).to_string())

# %%
# Four seconds of all leads.

plot_delineation(record, table=waves, start=2, duration=4)
