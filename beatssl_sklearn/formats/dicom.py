"""DICOM waveforms: the 12-lead, general and ambulatory ECGs of a picture archive."""

from __future__ import annotations

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

_DEFLATED = "1.2.840.10008.1.2.1.99"
# Codes of leads in the schemes MDC ("2:1") and SCPECG ("5.6.3-9-1").
_CODE = re.compile(r"(?:2:|5\.6\.3-9-)(\d{1,3})")
_CODED = {
    **{1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF"},
    **{2 + n: f"V{n}" for n in range(1, 7)},
}
# "Lead I (Einthoven)": what stands in brackets is no part of the name.
_BRACKETS = re.compile(r"\s*\([^)]*\)")
# "056Y" is 56 years.
_AGE = re.compile(r"0*(\d+)Y")


def read_dicom(place: Place, options: Options) -> Contents:
    """Read a DICOM ECG: the channels of all original multiplex groups, each at its offset in time."""
    pydicom = import_optional("pydicom", "reading DICOM files", "formats")
    try:
        with warnings.catch_warnings(record=True) as odd:
            warnings.simplefilter("always")
            # A deflated file can grow a thousandfold when it is read.
            meta = pydicom.filereader.read_file_meta_info(place.path)
            if meta.get("TransferSyntaxUID") == _DEFLATED:
                raise ValueError("it is deflated; dcmconv of DCMTK writes it uncompressed")
            contents = _contents(pydicom.dcmread(place.path))
    # On a damaged file, the library fails in many ways: all of them mean that it cannot be read.
    except Exception as error:
        refuse(place.name, f"it cannot be read as a DICOM ECG: {place.without_folder(error)}")
    contents.notes += dict.fromkeys(place.without_folder(warning.message) for warning in odd)
    return contents


def _contents(file: Any) -> Contents:
    groups = file.get("WaveformSequence") or []
    if not groups:
        raise ValueError(f"it has no waveforms (modality {file.get('Modality', 'unknown')})")
    # Median beats and the like are derived.
    original = [i for i, group in enumerate(groups) if group.get("WaveformOriginality", "ORIGINAL") == "ORIGINAL"]
    channels: list[Channel] = []
    names: set[str] = set()
    for i in original or range(len(groups)):
        for channel in _channels(file, groups[i], i):
            # Rhythm strips repeat a lead of the groups before them.
            again = channel.name in names
            names.add(channel.name)
            channels.append(channel._replace(name=f"{channel.name} of group {i + 1}") if again else channel)
    first = groups[(original or [0])[0]].ChannelDefinitionSequence[0]
    return Contents(channels, _info(file, first), _identity(file))


def _channels(file: Any, group: Any, index: int) -> list[Channel]:
    n_bytes = int(group.NumberOfWaveformSamples) * int(group.NumberOfWaveformChannels)
    n_bytes *= int(group.WaveformBitsAllocated) // 8
    if n_bytes > len(group.WaveformData):
        raise ValueError(f"group {index + 1} promises {n_bytes} bytes of samples and has {len(group.WaveformData)}")
    fs = float(group.SamplingFrequency)
    start = round(float(group.get("MultiplexGroupTimeOffset") or 0) * fs / 1000)
    raw = _raw(file, index)
    padding = _padding(group, raw.dtype)
    return [
        Channel(_name(definition, i), _unit(definition), fs, _loader(raw[:, i], definition, padding), max(0, start))
        for i, definition in enumerate(group.ChannelDefinitionSequence)
    ]


def _raw(file: Any, index: int) -> NDArray[Any]:
    """Return the samples of a group as the file has them: (n_times, n_channels)."""
    handler = import_optional("pydicom.waveforms.numpy_handler", "reading DICOM files", "formats")
    return np.asarray(handler.multiplex_array(file, index, as_raw=True))


def _padding(group: Any, dtype: np.dtype[Any]) -> Any:
    """Return the raw value that stands for a missing sample, or None."""
    stated = group.get("WaveformPaddingValue")
    if isinstance(stated, bytes) and len(stated) >= dtype.itemsize:
        return np.frombuffer(stated[: dtype.itemsize], dtype=dtype)[0]
    return None if stated is None or isinstance(stated, bytes) else stated


def _loader(raw: NDArray[Any], definition: Any, padding: Any) -> Callable[[], NDArray[np.float64]]:
    scale = float(definition.get("ChannelSensitivity") or 1.0)
    scale *= float(definition.get("ChannelSensitivityCorrectionFactor") or 1.0)
    baseline = float(definition.get("ChannelBaseline") or 0.0)

    def load() -> NDArray[np.float64]:
        values = raw.astype(np.float64) * scale + baseline
        if padding is not None:
            values[raw == padding] = np.nan
        return values

    return load


def _name(definition: Any, position: int) -> str:
    """Return the name of a channel: that of a lead if its code, its meaning or its label is one."""
    source = (definition.get("ChannelSourceSequence") or [{}])[0]
    code = _CODE.fullmatch(str(source.get("CodeValue", "")))
    texts = [str(source.get("CodeMeaning") or ""), str(source.get("CodeValue") or "")]
    texts = [_BRACKETS.sub("", text).strip() for text in [*texts, str(definition.get("ChannelLabel") or "")]]
    if code and int(code[1]) in _CODED:
        return _CODED[int(code[1])]
    for text in texts:
        try:
            canonical_lead(text)
        except ValueError:
            continue
        return text
    return next(filter(None, texts), f"channel {position + 1}")


def _unit(definition: Any) -> str:
    if definition.get("ChannelSensitivity") is None:
        return ""
    units = definition.get("ChannelSensitivityUnitsSequence") or [{}]
    return str(units[0].get("CodeValue") or "")


def _info(file: Any, channel: Any) -> dict[str, Any]:
    age = _AGE.fullmatch(str(file.get("PatientAge") or ""))
    sex = str(file.get("PatientSex") or "")
    moment = str(file.get("AcquisitionDateTime") or "")
    day = moment[:8] or str(file.get("AcquisitionDate") or file.get("StudyDate") or "")
    time = moment[8:14] or str(file.get("AcquisitionTime") or file.get("StudyTime") or "")[:6]
    return known(
        patient_id=str(file.get("PatientID") or ""),
        age=age[1] if age else None,
        sex=sex if sex in ("F", "M") else "",
        base_date=f"{day[:4]}-{day[4:6]}-{day[6:8]}" if re.fullmatch(r"\d{8}", day) else None,
        base_time=f"{time[:2]}:{time[2:4]}:{time[4:6]}" if re.fullmatch(r"\d{6}", time) else None,
        filters=known(
            highpass=_number(channel.get("FilterLowFrequency")),
            lowpass=_number(channel.get("FilterHighFrequency")),
            notch=_number(channel.get("NotchFilterFrequency")) or None,
        ),
        device=known(
            manufacturer=str(file.get("Manufacturer") or ""), model=str(file.get("ManufacturerModelName") or "")
        ),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _spoken(name: Any) -> str:
    """Return a name as people say it: the family's name stands first in the file."""
    family, *given = str(name or "").split("^")
    return " ".join(filter(None, [*given[:2], family]))


def _identity(file: Any) -> dict[str, Any]:
    return known(
        name=_spoken(file.get("PatientName")),
        birth_date=str(file.get("PatientBirthDate") or ""),
        referring_physician=_spoken(file.get("ReferringPhysicianName")),
        institution=str(file.get("InstitutionName") or ""),
        serial_number=str(file.get("DeviceSerialNumber") or ""),
        accession_number=str(file.get("AccessionNumber") or ""),
        study_uid=str(file.get("StudyInstanceUID") or ""),
    )
