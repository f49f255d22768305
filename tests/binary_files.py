"""DICOM, SCP-ECG and EDF files that tests build: DICOM by pydicom, the others byte for byte, by encoders of their own."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cmelt.records.record import LEADS

SCP_LEADS = {name: number for number, name in enumerate(("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"), 1)}
SCP_LEADS |= {name: number for number, name in enumerate(("III", "aVR", "aVL", "aVF"), 61)}

# --- DICOM ---------------------------------------------------------------------------------------------------------------------


def code(value: str, scheme: str, meaning: str):
    """A code as a data set of one item of a code sequence."""
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def dicom_group(
    signal: np.ndarray,
    rate: float = 100.0,
    leads: Sequence[str] = LEADS,
    kind: str = "SS",
    per_step: float = 1.0,
    unit: str = "uV",
):
    """A multiplex group of `signal` [leads, samples] mV in integers of `kind`."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence as Items

    bits, dtype, zero = {
        "SB": (8, "<i1", 0), "UB": (8, "<u1", 128), "SS": (16, "<i2", 0), "US": (16, "<u2", 32768), "SL": (32, "<i4", 0),
        "UL": (32, "<u4", 1 << 31),
    }[kind]  # fmt: skip
    in_units = signal.astype(np.float64) * {"uV": 1e3, "mV": 1.0, "V": 1e-3}[unit]
    item = Dataset()
    item.WaveformOriginality, item.MultiplexGroupLabel = "ORIGINAL", "RHYTHM"
    item.NumberOfWaveformChannels, item.NumberOfWaveformSamples = signal.shape
    item.SamplingFrequency = str(rate)
    item.WaveformBitsAllocated, item.WaveformSampleInterpretation = bits, kind
    channels = []
    for lead in leads:
        channel = Dataset()
        channel.ChannelSourceSequence = Items([code(f"2:{SCP_LEADS.get(lead, 0)}", "MDC", f"Lead {lead}")])
        channel.ChannelSensitivity = f"{per_step:.10g}"
        channel.ChannelSensitivityUnitsSequence = Items([code(unit, "UCUM", unit)])
        channel.ChannelSensitivityCorrectionFactor, channel.ChannelSampleSkew = "1", "0"
        channel.ChannelBaseline = f"{-zero * per_step:.10g}"
        channel.WaveformBitsStored = bits
        channels.append(channel)
    item.ChannelDefinitionSequence = Items(channels)
    item.WaveformData = (np.rint(in_units / per_step) + zero).astype(dtype).T.tobytes()
    item["WaveformData"].VR = "OB" if bits == 8 else "OW"
    return item


def dicom(*groups, annotations: Sequence = (), sop_class: str = "1.2.840.10008.5.1.4.1.1.9.1.1"):
    """A data set of the groups."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence as Items

    whole = Dataset()
    whole.SpecificCharacterSet = "ISO_IR 192"
    whole.SOPClassUID, whole.SOPInstanceUID, whole.Modality = sop_class, "1.2.3.4", "ECG"
    whole.PatientName, whole.PatientID, whole.PatientAge, whole.PatientSex = "Nobody^N", "P-77", "061Y", "F"
    whole.StudyDate = "20200131"
    if annotations:
        whole.WaveformAnnotationSequence = Items(annotations)
    if groups:
        whole.WaveformSequence = Items(groups)
    return whole


def save_dicom(path: Path, whole, syntax: str = "1.2.840.10008.1.2.1", preamble: bool = True) -> Path:
    """Write the data set in a transfer syntax, with or without preamble and meta information."""
    import pydicom
    from pydicom.dataset import FileMetaDataset

    path.parent.mkdir(parents=True, exist_ok=True)
    whole.file_meta = FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = syntax
    whole.file_meta.MediaStorageSOPClassUID, whole.file_meta.MediaStorageSOPInstanceUID = whole.SOPClassUID, whole.SOPInstanceUID
    pydicom.dcmwrite(path, whole, enforce_file_format=True)
    if not preamble:
        content = path.read_bytes()
        (length,) = struct.unpack_from("<I", content, 140)
        path.write_bytes(content[144 + length :])
    return path


def write_dicom(path: Path, signal: np.ndarray) -> Path:
    """`signal` [12, samples] mV at 100 Hz as a 12-lead ECG."""
    return save_dicom(path, dicom(dicom_group(signal)))


# --- SCP-ECG -------------------------------------------------------------------------------------------------------------------


def default_code(value: int) -> str:
    """The standard's Huffman code of one value, as ones and zeros."""
    if value == 0:
        return "0"
    if abs(value) <= 8:
        return "1" * abs(value) + "0" + ("0" if value > 0 else "1")
    if -128 <= value <= 127:
        return "1111111110" + f"{value & 0xFF:08b}"
    return "1111111111" + f"{value & 0xFFFF:016b}"


def packed(bits: str) -> bytes:
    """Ones and zeros as bytes, filled up with zeros."""
    filled = bits + "0" * (-len(bits) % 8)
    return bytes(int(filled[place : place + 8], 2) for place in range(0, len(filled), 8))


def differences(values: Sequence[int], order: int) -> list[int]:
    """Values as differences: the first (and second) stand as they are. In 16 bits, as devices count."""
    kept = list(values)
    for place in range(len(values) - 1, -1, -1):
        if order == 1 and place >= 1:
            kept[place] = values[place] - values[place - 1]
        if order == 2 and place >= 2:
            kept[place] = values[place] - 2 * values[place - 1] + values[place - 2]
    return [(value + 32768) % 65536 - 32768 for value in kept]


def stream(values: Sequence[int], order: int = 2, coder: Callable[[int], str] | None = default_code) -> bytes:
    """One lead's values as section 5 and 6 hold them; without a coder as 16-bit integers."""
    kept = differences([int(value) for value in values], order)
    return struct.pack(f"<{len(kept)}h", *kept) if coder is None else packed("".join(coder(value) for value in kept))


def section(number: int, body: bytes) -> bytes:
    """A section with its header and checksum, of even length."""
    body += b"\x00" * (len(body) % 2)
    head = struct.pack("<HIBB6s", number, 16 + len(body), 20, 20, b"SCPECG" if number == 0 else b"")
    return struct.pack("<H", binascii.crc_hqx(head + body, 0xFFFF)) + head + body


def scp_file(bodies: Mapping[int, bytes]) -> bytes:
    """A whole file from its sections' bodies (without section 0)."""
    written = {number: section(number, body) for number, body in sorted(bodies.items())}
    count = max(12, max(written) + 1)
    pointers, place = {}, 7 + 16 + 10 * count
    for number, content in written.items():
        pointers[number] = (number, len(content), place)
        place += len(content)
    table = b"".join(
        struct.pack("<HII", *pointers.get(number, (number, 0, 0))) if number else struct.pack("<HII", 0, 16 + 10 * count, 7)
        for number in range(count)
    )
    content = section(0, table) + b"".join(written.values())
    content = struct.pack("<I", len(content) + 6) + content
    return struct.pack("<H", binascii.crc_hqx(content, 0xFFFF)) + content


def scp_lead_section(leads: Sequence[str], samples: int, subtracted: bool = False, first: int = 1) -> bytes:
    """Section 3."""
    flags = int(subtracted) | 4 | len(leads) << 3
    rows = b"".join(struct.pack("<IIB", first, first + samples - 1, SCP_LEADS[lead]) for lead in leads)
    return struct.pack("<BB", len(leads), flags & 0xFF) + rows


def scp_data_section(streams: Sequence[bytes], nanovolts: int, microseconds: int, order: int, bimodal: bool = False) -> bytes:
    """Section 5 or 6."""
    sizes = struct.pack(f"<{len(streams)}H", *map(len, streams))
    return struct.pack("<HHBB", nanovolts, microseconds, order, int(bimodal)) + sizes + b"".join(streams)


def scp_patient_section(**tags: bytes) -> bytes:
    """Section 1 of tags named t2, t4, …"""
    fields = [(int(name[1:]), value) for name, value in tags.items()]
    return b"".join(struct.pack("<BH", number, len(value)) + value for number, value in [*fields, (255, b"")])


def write_scp(
    path: Path, signal: np.ndarray, rate: float = 100.0, leads: Sequence[str] = LEADS, order: int = 2, huffman: bool = True,
    more: Mapping[int, bytes] | None = None,
) -> Path:  # fmt: skip
    """`signal` [leads, samples] mV in steps of 1 µV, Huffman-coded by the standard's table or not at all."""
    digital = np.rint(signal * 1000).astype(int)
    streams = [stream(row, order, default_code if huffman else None) for row in digital]
    bodies = {
        1: scp_patient_section(
            t2=b"P-77\x00", t5=struct.pack("<HBB", 1950, 6, 1), t8=b"\x02", t25=struct.pack("<HBB", 2020, 5, 31)
        ),
        3: scp_lead_section(leads, signal.shape[1]),
        6: scp_data_section(streams, 1000, round(1e6 / rate), order),
        **({2: struct.pack("<H", 19999)} if huffman else {}),
        **(more or {}),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(scp_file(bodies))
    return path


# --- EDF -----------------------------------------------------------------------------------------------------------------------


def edf_header(
    signals: Sequence[Mapping[str, object]],
    records: int,
    seconds: float = 1,
    kind: str = "",
    patient: str = "",
    recording: str = "",
    bdf: bool = False,
) -> bytes:
    """The header of a file of `signals`: label, unit, range (physical and digital) and samples a record of each."""

    def fields(width: int, values: Sequence[object]) -> bytes:
        return b"".join(str(value).encode("latin-1").ljust(width)[:width] for value in values)

    fixed = (b"\xffBIOSEMI" if bdf else b"0       ") + fields(80, [patient, recording]) + b"01.02.2003.04.05"
    fixed += (
        fields(8, [256 * (len(signals) + 1)])
        + fields(44, [kind])
        + fields(8, [records, f"{seconds:g}"])
        + fields(4, [len(signals)])
    )
    columns = [("label", 16), ("transducer", 80), ("unit", 8), ("low", 8), ("high", 8), ("least", 8), ("greatest", 8)]
    columns += [("filter", 80), ("samples", 8), ("reserved", 32)]
    return fixed + b"".join(fields(width, [signal.get(name, "") for signal in signals]) for name, width in columns)


def edf_signal(label: str, samples: int, unit: str = "uV", reach: int = 32767, **other: object) -> dict[str, object]:
    """A signal whose digital step is one unit."""
    return {
        "label": label,
        "unit": unit,
        "low": -reach,
        "high": reach,
        "least": -reach,
        "greatest": reach,
        "samples": samples,
        **other,
    }


def write_edf(
    path: Path, signal: np.ndarray, leads: Sequence[str] = LEADS, kind: str = "", patient: str = "", recording: str = ""
) -> Path:
    """`signal` [leads, samples] mV at 100 Hz in records of a second, in steps of 1 µV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digital = np.rint(signal * 1000).astype("<i2")
    records = signal.shape[1] // 100
    header = edf_header(
        [edf_signal(f"ECG {lead}", 100) for lead in leads], records, kind=kind, patient=patient, recording=recording
    )
    path.write_bytes(header + digital.reshape(len(leads), records, 100).transpose(1, 0, 2).tobytes())
    return path
