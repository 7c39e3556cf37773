"""EDF and BDF: recordings of many signals, as sleep laboratories and Holter systems write them."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import import_optional
from ..ecg.leads import canonical_lead
from ..ecg.wfdb.paths import refuse
from .contents import Channel, Contents, Options, Place, known
from .kit import start_of

# "HP:0.05Hz LP:150Hz N:50Hz" in the header of a signal.
_FILTER = re.compile(r"\b(HP|LP|N)\s*:\s*(\d+(?:\.\d+)?)\s*Hz", re.IGNORECASE)
_FILTERS = {"HP": "highpass", "LP": "lowpass", "N": "notch"}
# Code, sex, date of birth and name, as EDF+ has them.
_PATIENT = re.compile(r"(\S+) ([FMX]) (X|\d\d-[A-Z]{3}-\d{4}) (\S+)", re.ASCII)
# Gaps that are filled: a week at 1,000 Hz.
_LONGEST_GAP = 2**29


def read_edf(place: Place, options: Options) -> Contents:
    """Read an EDF or EDF+ file; the gaps of a discontinuous one are missing samples."""
    return _read(place, import_optional("edfio", "reading EDF files", "formats").read_edf)


def read_bdf(place: Place, options: Options) -> Contents:
    """Read a BDF file: EDF with 24 bits."""
    return _read(place, import_optional("edfio", "reading BDF files", "formats").read_bdf)


def _read(place: Place, reader: Callable[..., Any]) -> Contents:
    try:
        with warnings.catch_warnings(record=True) as odd:
            warnings.simplefilter("always")
            # Latin-1 has the micro sign that many headers hold.
            file = reader(place.path, header_encoding="latin-1")
            onsets = _onsets(place, file) if file.reserved.upper().startswith(("EDF+D", "BDF+D")) else None
            # The header is parsed where it is asked for: damage shows here.
            contents = Contents([_channel(place, signal, onsets) for signal in file.signals], *_described(file))
    # On a damaged file, the library fails in many ways: all of them mean that it cannot be read.
    except Exception as error:
        refuse(place.name, f"it cannot be read as EDF: {place.without_folder(error)}")
    contents.notes += [place.without_folder(warning.message) for warning in odd]
    return contents


def _onsets(place: Place, file: Any) -> NDArray[np.float64]:
    """Return when each block of a discontinuous file begins [s after the first].

    A block has a signal of annotations; the first of these tells its onset. The library does not give them by block.
    """
    with open(place.path, "rb") as stream:
        header = stream.read(file.bytes_in_header_record)
        n_signals = int(header[252:256])
        labels = [header[256 + 16 * i : 272 + 16 * i].strip() for i in range(n_signals)]
        at = 256 + 216 * n_signals
        n_samples = [int(header[at + 8 * i : at + 8 * i + 8]) for i in range(n_signals)]
        first = next(i for i, label in enumerate(labels) if label.endswith(b"DF Annotations"))
        width = 3 if header.startswith(b"\xff") else 2
        blocks = np.frombuffer(stream.read(), dtype=np.uint8)
    size = width * sum(n_samples)
    blocks = blocks[: len(blocks) // size * size].reshape(-1, size)
    begin = width * sum(n_samples[:first])
    texts = blocks[:, begin : begin + width * n_samples[first]]
    times = np.array([float(re.split(rb"[\x14\x15]", text.tobytes(), maxsplit=1)[0]) for text in texts])
    # Onsets are rounded; the blocks of a recording follow each other.
    if not np.isfinite(times).all() or (np.diff(times) < 0.999 * file.data_record_duration).any():
        raise ValueError("the blocks of a discontinuous recording are not in the order of time")
    return np.asarray(times - times[0])


def _channel(place: Place, signal: Any, onsets: NDArray[np.float64] | None) -> Channel:
    fs = float(signal.sampling_frequency)

    def load() -> NDArray[np.float64]:
        try:
            low, high = signal.digital_range
            physical = signal.physical_range
        except ValueError as error:
            refuse(place.name, f"the ranges of signal {signal.label!r} cannot be read: {error}")
        if high <= low or physical.max == physical.min or not all(map(math.isfinite, physical)):
            refuse(place.name, f"signal {signal.label!r} is not calibrated: its digital range is {low} to {high}, its "
                   f"physical range {physical.min:g} to {physical.max:g}")
        values = np.asarray(signal.data, dtype=np.float64)
        return values if onsets is None else _with_gaps(place, values, onsets, fs)

    return Channel(signal.label.strip(), signal.physical_dimension.strip(), fs, load)


def _with_gaps(
    place: Place, values: NDArray[np.float64], onsets: NDArray[np.float64], fs: float
) -> NDArray[np.float64]:
    """Put each block where it belongs in time, NaN between them."""
    blocks = values.reshape(len(onsets), -1)
    first = np.rint(onsets * fs).astype(np.int64)
    n_times = int(first[-1]) + blocks.shape[1]
    if n_times - values.size > _LONGEST_GAP:
        refuse(place.name, f"its gaps have {n_times - values.size} samples, more than are filled")
    out = np.full(n_times, np.nan)
    for start, block in zip(first.tolist(), blocks, strict=True):
        out[start : start + len(block)] = block
    return out


def _described(file: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the header says of patient and recording, and what identifies people."""
    patient, recording = file.local_patient_identification.strip(), file.local_recording_identification.strip()
    leads = [signal.prefiltering for signal in file.signals if _is_lead(signal.label)]
    filters = {_FILTERS[kind.upper()]: float(value) for kind, value in _FILTER.findall(leads[0] if leads else "")}
    start = _start(file)
    fields = _PATIENT.match(patient)
    if fields is None:
        # Without the rules of EDF+, the text may begin with a name.
        return known(filters=filters, **start), known(patient=patient, recording=recording)
    info = known(patient_id=fields[1], sex=fields[2] if fields[2] != "X" else "", filters=filters, **start)
    return info, known(name=fields[4].replace("_", " "), birth_date=fields[3], recording=recording)


def _start(file: Any) -> dict[str, str]:
    try:
        return start_of(file.startdatetime)
    except ValueError:
        # It is anonymous, or no date at all.
        return {}


def _is_lead(label: str) -> bool:
    try:
        canonical_lead(label)
    except ValueError:
        return False
    return True
