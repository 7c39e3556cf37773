"""ECG files of all formats with known samples: by the format's own library where there is one, or byte by byte."""

from __future__ import annotations

import base64
import binascii
import datetime
import io
import struct

import edfio
import h5py
import numpy as np
import pydicom
import scipy.io
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from beatssl_sklearn.ecg.leads import LEADS

FS = 500
N_TIMES = 600
FILTERS = "HP:0.05Hz LP:150Hz"
EIGHT_LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


def counts(n_leads: int = 12, n_times: int = N_TIMES, seed: int = 0) -> np.ndarray:
    """Return small whole numbers (n_leads, n_times) that go up and down a little, as an ECG does."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(-6, 7, size=(n_leads, n_times))
    return np.clip(np.cumsum(steps, axis=1), -400, 400).astype(np.int16)


def edf(values: np.ndarray, labels=LEADS, unit="uV", fs: float = FS, extra=(), **header) -> bytes:
    """EDF by edfio: digital values, 2.5 of the unit each."""
    signals = [
        edfio.EdfSignal.from_digital(
            row, fs, label=label, physical_dimension=unit, physical_range=(-81920, 81917.5), prefiltering=FILTERS
        )
        for label, row in zip(labels, values, strict=True)
    ]
    file = io.BytesIO()
    edfio.Edf([*signals, *extra], **{"data_record_duration": 0.2} | header).write(file)
    return file.getvalue()


def discontinuous_edf(values: np.ndarray, onsets: list[float]) -> bytes:
    """EDF+D: one second in each block, at these onsets; edfio writes it as continuous, and onsets are written over."""
    raw = edf(values, LEADS[: len(values)], annotations=[], data_record_duration=1)
    raw = raw.replace(b"EDF+C", b"EDF+D", 1)
    for second, onset in enumerate(onsets):
        old, new = f"+{second}\x14\x14".encode(), f"+{onset:g}\x14\x14".encode()
        at = raw.index(old + b"\0" * (len(new) - len(old)), 256 * (len(values) + 2))
        raw = raw[:at] + new + raw[at + len(new) :]
    return raw


def bdf(values: np.ndarray) -> bytes:
    """BDF by edfio: digital values, a microvolt each."""
    signals = [
        edfio.BdfSignal.from_digital(
            row.astype(np.int32), FS, label=f"ECG {lead}", physical_dimension="uV", physical_range=(-8388608, 8388607)
        )
        for lead, row in zip(LEADS, values, strict=True)
    ]
    file = io.BytesIO()
    edfio.Bdf(signals).write(file)
    return file.getvalue()


def dicom_group(values, names, *, fs=FS, unit="uV", sensitivity="2.5", originality="ORIGINAL", offset=None) -> Dataset:
    """One multiplex group of a DICOM waveform."""
    group = Dataset()
    group.WaveformOriginality = originality
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = values.shape
    group.SamplingFrequency = fs
    if offset is not None:
        group.MultiplexGroupTimeOffset = offset
    channels = []
    for name in names:
        source = Dataset()
        source.CodeValue, source.CodingSchemeDesignator, source.CodeMeaning = "x", "99X", name
        channel = Dataset()
        channel.ChannelSourceSequence = Sequence([source])
        channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = sensitivity, "1"
        channel.ChannelBaseline, channel.WaveformBitsStored = "0", 16
        channel.FilterLowFrequency, channel.FilterHighFrequency = "0.05", "150"
        units = Dataset()
        units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = unit, "UCUM", unit
        channel.ChannelSensitivityUnitsSequence = Sequence([units])
        channels.append(channel)
    group.ChannelDefinitionSequence = Sequence(channels)
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.add_new("WaveformPaddingValue", "OW", struct.pack("<h", -32768))
    group.WaveformData = np.ascontiguousarray(values.T).astype("<i2").tobytes()
    return group


def dicom(groups: list[Dataset]) -> bytes:
    """A DICOM 12-lead ECG by pydicom."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = pydicom.uid.TwelveLeadECGWaveformStorage
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = "1.2.3"
    file.PatientID, file.PatientName, file.PatientBirthDate = "P17", "Doe^Jane", "19500102"
    file.PatientSex, file.PatientAge, file.Modality = "F", "056Y", "ECG"
    file.AcquisitionDateTime = "20200304050607"
    file.WaveformSequence = Sequence(groups)
    out = io.BytesIO()
    file.save_as(out, enforce_file_format=True)
    return out.getvalue()


def aecg(values: np.ndarray, labels=LEADS, increment="0.002", scale="2.5", unit="uV") -> bytes:
    """An HL7 aECG file: values are digits of `scale` units."""
    sequences = "".join(
        f'<component><sequence><code code="MDC_ECG_LEAD_{label}" codeSystem="2.16.840.1.113883.6.24"/>'
        f'<value xsi:type="SLIST_PQ"><origin value="0" unit="{unit}"/><scale value="{scale}" unit="{unit}"/>'
        f"<digits>{' '.join(map(str, row.tolist()))}</digits></value></sequence></component>"
        for label, row in zip(labels, values, strict=True)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><id root="1.2"/>'
        '<effectiveTime><low value="20200304050607"/></effectiveTime>'
        "<componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject>"
        '<id root="1" extension="P17"/><subjectDemographicPerson><name>Jane Doe</name>'
        '<administrativeGenderCode code="F"/><birthTime value="19500102"/></subjectDemographicPerson>'
        "</trialSubject></subject></subjectAssignment></componentOf></timepointEvent></componentOf>"
        '<component><series><code code="RHYTHM"/><component><sequenceSet>'
        '<component><sequence><code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS"><head value="20200304050607"/>'
        f'<increment value="{increment}" unit="s"/></value></sequence></component>{sequences}'
        "</sequenceSet></component></series></component></AnnotatedECG>"
    ).encode()


def muse(values: np.ndarray, labels=EIGHT_LEADS, unit="MICROVOLTS", base="500") -> bytes:
    """A GE MUSE file: eight leads in base64, 4.88 of the unit for each count."""
    leads = "".join(
        f"<LeadData><LeadByteCountTotal>{2 * len(row)}</LeadByteCountTotal><LeadSampleCountTotal>{len(row)}"
        f"</LeadSampleCountTotal><LeadAmplitudeUnitsPerBit>4.88</LeadAmplitudeUnitsPerBit><LeadAmplitudeUnits>{unit}"
        f"</LeadAmplitudeUnits><LeadSampleSize>2</LeadSampleSize><LeadID>{label}</LeadID><WaveFormData>"
        f"{base64.b64encode(row.astype('<i2').tobytes()).decode()}</WaveFormData></LeadData>"
        for label, row in zip(labels, values, strict=True)
    )
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<RestingECG><MuseInfo><MuseVersion>9</MuseVersion></MuseInfo>'
        "<PatientDemographics><PatientID>P17</PatientID><PatientLastName>Doe</PatientLastName><PatientFirstName>Jane"
        "</PatientFirstName><PatientAge>70</PatientAge><AgeUnits>YEARS</AgeUnits><DateofBirth>01-02-1950</DateofBirth>"
        "<Gender>FEMALE</Gender></PatientDemographics><TestDemographics><AcquisitionDate>03-04-2020</AcquisitionDate>"
        "<AcquisitionTime>05:06:07</AcquisitionTime></TestDemographics><Diagnosis><DiagnosisStatement><StmtText>Normal "
        "ECG of Jane Doe</StmtText></DiagnosisStatement></Diagnosis><Waveform><WaveformType>Rhythm</WaveformType>"
        f"<SampleBase>{base}</SampleBase><SampleExponent>0</SampleExponent><HighPassFilter>5</HighPassFilter>"
        f"<LowPassFilter>150</LowPassFilter>{leads}</Waveform></RestingECG>"
    ).encode("latin-1")


def xli(values: np.ndarray) -> bytes:
    """Leads as Philips compresses them: second differences in LZW codes, all of them literal."""
    rows = values.astype(int)
    half = (rows[0] + rows[1]) // 2
    stored = list(rows)
    # Limb leads are stored as what is left of the law that makes them of I and II.
    stored[2] = rows[1] - rows[0] - rows[2]
    stored[3] = -half - rows[3]
    stored[4] = (rows[0] - rows[2]) // 2 - rows[4]
    stored[5] = (rows[1] + rows[2]) // 2 - rows[5]
    chunks = []
    for x in stored:
        first = 2 * x[1] - x[0] - x[2]
        codes = np.concatenate([x[:2], 64 + 2 * x[2:-1] - x[1:-2] - x[3:], [64]]).astype(">i2").view(np.uint8)
        literal = np.concatenate([codes[0::2], codes[1::2]]).astype(int)
        bits = (literal[:, None] >> np.arange(9, -1, -1)) & 1
        body = np.packbits(bits.ravel().astype(np.uint8)).tobytes()
        chunks.append(struct.pack("<ihh", len(body), 0, first) + body)
    return b"".join(chunks)


def sierra(values: np.ndarray, compressed=False, resolution="5") -> bytes:
    """A Philips Sierra file, of 5 microvolts for each count."""
    data = xli(values) if compressed else values.astype("<i2").tobytes()
    how = 'compressflag="True" compressmethod="XLI"' if compressed else 'compressflag="False"'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<restingecgdata xmlns="http://www3.medical.philips.com">'
        "<documentinfo><documenttype>SierraECG</documenttype><documentversion>1.03</documentversion></documentinfo>"
        '<dataacquisition date="2020-03-04" time="05:06:07"><machine>PageWriter</machine><signalcharacteristics>'
        f"<samplingrate>{FS}</samplingrate><signalresolution>{resolution}</signalresolution><acquisitiontype>STD-12"
        "</acquisitiontype><numberchannelsallocated>12</numberchannelsallocated><signalbandwidth>0.05-150"
        "</signalbandwidth></signalcharacteristics></dataacquisition><patient><generalpatientdata><patientid>P17"
        "</patientid><name><lastname>Doe</lastname><firstname>Jane</firstname></name><sex>Female</sex>"
        "</generalpatientdata></patient><waveforms>"
        f'<parsedwaveforms dataencoding="Base64" {how} durationperchannel="{1000 * values.shape[1] // FS}">'
        f"{base64.b64encode(data).decode()}</parsedwaveforms></waveforms></restingecgdata>"
    ).encode()


def _section(number: int, body: bytes) -> bytes:
    body += b"\0" * (len(body) % 2)
    rest = struct.pack("<HIBB6s", number, 16 + len(body), 20, 20, b"SCPECG" if number == 0 else b"\0" * 6) + body
    return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest


def _huffman(row: np.ndarray) -> bytes:
    """Second differences in the standard's own Huffman codes: small ones by their size, others as 16 bits."""
    values = row.astype(int).copy()
    values[2:] = row[2:].astype(int) - 2 * row[1:-1].astype(int) + row[:-2].astype(int)
    words = []
    for value in values.tolist():
        if value == 0:
            words.append("0")
        elif abs(value) <= 8:
            words.append("1" * abs(value) + "0" + ("1" if value < 0 else "0"))
        else:
            words.append("1111111111" + format(value & 0xFFFF, "016b"))
    bits = "".join(words)
    bits += "0" * (-len(bits) % 8)
    raw = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return raw + b"\0" * (len(raw) % 2)


def scp(values: np.ndarray, codes=(1, 2, 3, 4, 5, 6, 7, 8), interval=2000, starts=None, huffman=False) -> bytes:
    """An SCP-ECG file of 2.5 microvolts for each count: I, II and V1 to V6."""
    starts = [1] * len(values) if starts is None else starts
    tags = b""
    for tag, value in ((0, b"Doe\0"), (1, b"Jane\0"), (2, b"P17\0"), (8, b"\2"), (25, struct.pack("<HBB", 2020, 3, 4)),
                       (26, bytes((5, 6, 7))), (27, struct.pack("<H", 5)), (28, struct.pack("<H", 150))):
        tags += struct.pack("<BH", tag, len(value)) + value
    leads = b"".join(
        struct.pack("<IIB", start, start + len(row) - 1, code)
        for code, row, start in zip(codes, values, starts, strict=True)
    )
    data = [_huffman(row) if huffman else row.astype("<i2").tobytes() for row in values]
    rhythm = struct.pack("<HHBB", 2500, interval, 2 if huffman else 0, 0)
    rhythm += b"".join(struct.pack("<H", len(one)) for one in data) + b"".join(data)
    bodies = {1: tags + b"\xff\0\0", 3: bytes((len(values), 4)) + leads, 6: rhythm}
    if huffman:
        bodies = {1: bodies[1], 2: struct.pack("<H", 19999), 3: bodies[3], 6: bodies[6]}
    sections = {number: _section(number, body) for number, body in bodies.items()}
    at = 7 + 16 + 10 * 12
    pointers = struct.pack("<HII", 0, 16 + 120, 7)
    for number in range(1, 12):
        size = len(sections.get(number, b""))
        pointers += struct.pack("<HII", number, size, at if size else 0)
        at += size
    whole = _section(0, pointers) + b"".join(sections.values())
    whole = struct.pack("<I", 6 + len(whole)) + whole
    return struct.pack("<H", binascii.crc_hqx(whole, 0xFFFF)) + whole


def ishne(values: np.ndarray, codes=(5, 6, 12), nanovolts=2500) -> bytes:
    """An ISHNE Holter file: I, II and V2."""
    block = bytearray(512)

    def put(at: int, text: bytes) -> None:
        block[at - 10 : at - 10 + len(text)] = text

    put(10, struct.pack("<iiiih", 0, values.shape[1], 522, 522, 1))
    put(28, b"Jane")
    put(68, b"Doe")
    put(108, b"P17")
    put(128, struct.pack("<hh", 2, 0))
    put(132, struct.pack("<9h", 2, 1, 1950, 4, 3, 2020, 4, 3, 2020))
    put(150, struct.pack("<3h", 5, 6, 7))
    pad = [-9] * (12 - len(codes))
    put(156, struct.pack("<h12h", len(codes), *codes, *pad))
    put(182, struct.pack("<24h", *([1] * len(codes)), *pad, *([nanovolts] * len(codes)), *pad))
    put(272, struct.pack("<h", FS))
    checksum = struct.pack("<H", binascii.crc_hqx(bytes(block), 0xFFFF))
    return b"ISHNE1.0" + checksum + bytes(block) + np.ascontiguousarray(values.T).astype("<i2").tobytes()


def csv(values: np.ndarray, labels=LEADS, unit="uV", fs=FS) -> bytes:
    """A table with times in seconds."""
    lines = [",".join(["time", *(f"{label} [{unit}]" for label in labels)])]
    lines += [",".join(map(str, [i / fs, *column])) for i, column in enumerate((values * 2.5).T.tolist())]
    return "\n".join(lines).encode()


def npy(values: np.ndarray) -> bytes:
    """An array of mV."""
    out = io.BytesIO()
    np.save(out, (values * 2.5e-3).T)
    return out.getvalue()


def mat(values: np.ndarray, **more) -> bytes:
    """A MATLAB file with rate, leads and unit."""
    out = io.BytesIO()
    leads = np.array(LEADS[: len(values)], dtype=object)
    scipy.io.savemat(
        out, {"ecg": values * 2.5, "fs": float(FS), "leads": leads, "unit": "uV"} | more, do_compression=True
    )
    return out.getvalue()


def hdf5(values: np.ndarray) -> bytes:
    """An HDF5 file with attributes and names of the axes."""
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        one = file.create_dataset("record/signal", data=(values * 2.5).T, compression="gzip")
        one.attrs["fs"], one.attrs["units"] = FS, "uV"
        one.attrs["leads"] = list(LEADS[: len(values)])
        one.dims[0].label, one.dims[1].label = "time", "lead"
    return out.getvalue()


def every_file() -> dict[str, tuple[str, bytes, np.ndarray, tuple[str, ...]]]:
    """Return a file of each format: its name, its bytes, what it holds [uV], and of which leads."""
    twelve = counts()
    eight, three = twelve[[0, 1, 6, 7, 8, 9, 10, 11]], twelve[[0, 1, 7]]
    header = {
        "patient": edfio.Patient(code="P17", sex="F", birthdate=datetime.date(1950, 1, 2), name="Jane_Doe"),
        "recording": edfio.Recording(startdate=datetime.date(2020, 3, 4)),
        "starttime": datetime.time(5, 6, 7),
        "data_record_duration": 0.4,
    }
    return {
        "EDF": ("a.edf", edf(twelve, **header), twelve * 2.5, LEADS),
        "BDF": ("a.bdf", bdf(twelve[:, :500]), twelve[:, :500] * 1.0, LEADS),
        "DICOM": ("a.dcm", dicom([dicom_group(twelve, [f"Lead {lead}" for lead in LEADS])]), twelve * 2.5, LEADS),
        "HL7 aECG": ("a.xml", aecg(twelve), twelve * 2.5, LEADS),
        "GE MUSE": ("m.xml", muse(eight), eight * 4.88, EIGHT_LEADS),
        "Philips Sierra": ("s.xml", sierra(twelve), twelve * 5.0, LEADS),
        "Philips Sierra, compressed": ("x.xml", sierra(twelve, compressed=True), twelve * 5.0, LEADS),
        "SCP-ECG": ("a.scp", scp(eight), eight * 2.5, EIGHT_LEADS),
        "SCP-ECG, compressed": ("h.scp", scp(eight, huffman=True), eight * 2.5, EIGHT_LEADS),
        "ISHNE": ("a.ecg", ishne(three), three * 2.5, ("I", "II", "V2")),
        "CSV": ("a.csv", csv(twelve), twelve * 2.5, LEADS),
        "NumPy": ("a.npy", npy(twelve), twelve * 2.5, LEADS),
        "MATLAB": ("a.mat", mat(twelve), twelve * 2.5, LEADS),
        "HDF5": ("a.h5", hdf5(twelve), twelve * 2.5, LEADS),
    }
