"""
Arrhythmia, beat by beat
========================

``load("beats")`` finds the heartbeats and labels each N (normal), S (supraventricular), V (ventricular) or F (fusion).

With ``BEATSSL_DATA``, the picture is of record 208 of the MIT-BIH Arrhythmia Database (Moody and Mark 2001, ODC-BY).
The head was trained on it: it shows how answers look, not how good they are. Without, the record is simulated.
"""

import os
from pathlib import Path

from beatssl_sklearn import ECGRecord, load, make_ecg, match_labels, read_annotations, read_wfdb
from beatssl_sklearn.datasets import AAMI_CLASS
from beatssl_sklearn.plotting import plot_beats

mitdb = Path(os.environ.get("BEATSSL_DATA", "none"), "mitdb")
if mitdb.is_dir():
    whole, marks = read_wfdb(mitdb / "208"), read_annotations(mitdb / "208", "atr")
    record = ECGRecord(whole.signal[:, : int(60 * whole.fs)], whole.fs, whole.leads)
    true_peaks, symbols = marks.sample, marks.symbol
else:
    ecg = make_ecg(1, rhythm="pvc", fs=360, duration=60, leads=["II", "V1"], random_state=4)
    record = ECGRecord(ecg.data[0], ecg.fs, ecg.leads)
    true_peaks, symbols = ecg.rpeaks[0], ecg.beat_types[0]

# %%
# A record says its rate and its leads, so that the model needs no settings. ``match_labels`` gives each detected beat
# the label of its partner among the marked ones.

model = load("beats")
labels = model.predict([record])[0]
rpeaks = model[0].rpeaks([record])[0]
is_beat = [symbol in AAMI_CLASS for symbol in symbols]
truth = [AAMI_CLASS[symbol] for symbol, beat in zip(symbols, is_beat, strict=True) if beat]
reference = match_labels([rpeaks], [true_peaks[is_beat]], [truth], fs=record.fs)[0]

# %%
# Six seconds around the first beat that is not N. Bold letters are not N; what differs from the reference is orange,
# with the reference in brackets.

first = next((peak for peak, label in zip(rpeaks, labels, strict=True) if label != "N"), 0) / record.fs
plot_beats(record, rpeaks, labels, reference=reference, start=min(max(first - 2, 0), 54), duration=6)
