"""What several formats share that are read with the library ecgdatakit: its records as `Contents`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ecg.wfdb.paths import refuse
from .contents import Channel, Contents, Place, known


def parsed(parser: Any, place: Place) -> tuple[Any, list[str]]:
    """Parse a file with a parser of the library.

    Parameters
    ----------
    parser : ecgdatakit.parsing.parser.Parser
    place : Place

    Returns
    -------
    record : ecgdatakit.ECGRecord
    notes : list of str
        What the library warned of.

    Raises
    ------
    ValueError
        If the library cannot read the file, for whatever reason.
    """
    try:
        with warnings.catch_warnings(record=True) as odd:
            warnings.simplefilter("always")
            record = parser.parse(Path(place.path))
    # On a damaged file, parsers fail in many ways: all of them mean that it cannot be read.
    except Exception as error:
        refuse(place.name, f"it cannot be read: {place.without_folder(error)}")
    return record, [place.without_folder(warning.message) for warning in odd]


def contents_of(record: Any, notes: list[str], rate: float | None = None, missing: float | None = None) -> Contents:
    """Return a record of the library as `Contents`.

    Parameters
    ----------
    record : ecgdatakit.ECGRecord
    notes : list of str
        What the library warned of.
    rate : float, optional
        Sampling rate [Hz] where the library rounds it.
    missing : float, optional
        Value of a raw sample that stands for none.

    Returns
    -------
    Contents
    """
    channels = [
        Channel(
            lead.label,
            lead.resolution_unit or lead.units,
            float(lead.sampling_rate if rate is None else rate),
            _loader(lead, missing),
            max(0, int(lead.annotations.get("start_sample", 1)) - 1),
        )
        for lead in record.leads
    ]
    return Contents(channels, _info(record), _identity(record), notes)


def _loader(lead: Any, missing: float | None) -> Callable[[], NDArray[np.float64]]:
    def load() -> NDArray[np.float64]:
        samples = np.asarray(lead.samples, dtype=np.float64)
        values = samples * lead.resolution + lead.offset if lead.is_raw else samples.copy()
        if missing is not None:
            values[samples == missing] = np.nan
        return values

    return load


def _info(record: Any) -> dict[str, Any]:
    patient, recording = record.patient, record.recording
    device, filters = recording.device, recording.acquisition.filters
    return known(
        patient_id=patient.patient_id,
        age=None if patient.age is None else str(patient.age),
        sex="" if patient.sex == "U" else patient.sex,
        **start_of(recording.date),
        filters=known(
            highpass=filters.highpass,
            lowpass=filters.lowpass,
            notch=filters.notch,
            notch_active=filters.notch_active,
            artifact_filter=filters.artifact_filter,
        ),
        device=known(
            manufacturer=device.manufacturer, model=device.model, software_version=device.software_version
        ),
    )


def _identity(record: Any) -> dict[str, Any]:
    patient, recording = record.patient, record.recording
    device = recording.device
    return known(
        name=" ".join(part for part in (patient.first_name, patient.last_name) if part),
        birth_date=patient.birth_date.date().isoformat() if patient.birth_date else None,
        technician=recording.technician,
        referring_physician=recording.referring_physician,
        institution=device.institution,
        serial_number=device.serial_number,
        location=recording.location,
        # Free text can name people.
        clinical_history=patient.clinical_history,
        statements=tuple(" ".join(filter(None, pair)) for pair in record.interpretation.statements),
        comments=record.annotations.get("comments", ""),
    )


def start_of(moment: datetime | None) -> dict[str, str]:
    """Return time and date of a start, as `read_wfdb` calls them."""
    if moment is None:
        return {}
    return {"base_time": moment.time().isoformat(), "base_date": moment.date().isoformat()}
