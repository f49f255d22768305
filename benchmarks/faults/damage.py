"""Ways to damage ECG files: fixed faults, which any reader has to notice, and random edits, which may hit anything or nothing.

A fixed fault is one of bytes (a transfer cut off, line ends rewritten, another file under the name) or of content (a lead that is
flat, two names exchanged), written by the format's own writer. A random edit changes bits, bytes, digits or blocks anywhere.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from array_files import write_hdf5, write_matlab, write_matlab_73, write_npz, write_table
from binary_files import write_dicom, write_edf, write_scp
from ecg_files import write_wfdb
from vendor_files import write_aecg, write_muse, write_philips

Rng = np.random.Generator
#: [12, samples] mV at 100 Hz to a file at a path that has the format's suffix; returns the file to be read.
Writer = Callable[[Path, np.ndarray], Path]


def _wfdb(path: Path, signal: np.ndarray) -> Path:
    return write_wfdb(path.with_suffix(""), signal)


#: Suffix and writer of each format.
FORMATS: Mapping[str, tuple[str, Writer]] = {
    "WFDB": (".hea", _wfdb),
    "EDF": (".edf", write_edf),
    "DICOM": (".dcm", write_dicom),
    "MUSE XML": (".xml", write_muse),
    "Philips XML": (".xml", write_philips),
    "aECG XML": (".xml", write_aecg),
    "MATLAB": (".mat", write_matlab),
    "MATLAB 7.3": (".mat", write_matlab_73),
    "HDF5": (".h5", write_hdf5),
    "NumPy": (".npz", write_npz),
    "SCP-ECG": (".scp", write_scp),
    "CSV": (".csv", write_table),
}
#: Formats that can say "not measured".
_WITH_GAPS = frozenset({"WFDB", "MATLAB", "MATLAB 7.3", "HDF5", "NumPy", "CSV"})
#: Formats whose numbers are not bound to 16 bits.
_WITHOUT_BOUND = frozenset({"MATLAB", "MATLAB 7.3", "HDF5", "NumPy", "CSV", "aECG XML"})

Bytes = Callable[[bytes, Rng], bytes]


def _at(content: bytes, rng: Rng) -> int:
    return int(rng.integers(len(content)))


def _block(content: bytes, rng: Rng) -> tuple[int, int]:
    """A place and a length of up to a sixteenth of the file, 512 bytes at most."""
    length = int(rng.integers(1, max(2, min(512, len(content) // 16) + 1)))
    return int(rng.integers(max(1, len(content) - length + 1))), length


def _flip_bit(content: bytes, rng: Rng) -> bytes:
    changed, place = bytearray(content), _at(content, rng)
    changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _flip_bit_early(content: bytes, rng: Rng) -> bytes:
    """In the first kilobyte, where headers are."""
    changed = bytearray(content)
    changed[int(rng.integers(min(len(content), 1024)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _other_byte(content: bytes, rng: Rng) -> bytes:
    changed, place = bytearray(content), _at(content, rng)
    changed[place] = (changed[place] + int(rng.integers(1, 256))) % 256
    return bytes(changed)


def _other_digit(content: bytes, rng: Rng) -> bytes:
    """Another digit for one that is there; another byte where there is none."""
    digits = [found.start() for found in re.finditer(rb"[0-9]", content[:65536])]
    if not digits:
        return _other_byte(content, rng)
    changed, place = bytearray(content), int(rng.choice(digits))
    changed[place] = 48 + (changed[place] - 48 + int(rng.integers(1, 10))) % 10
    return bytes(changed)


def _insert(content: bytes, rng: Rng) -> bytes:
    place = _at(content, rng)
    return content[:place] + rng.bytes(int(rng.integers(1, 9))) + content[place:]


def _drop(content: bytes, rng: Rng) -> bytes:
    place, length = _block(content, rng)
    return content[:place] + content[place + length :]


def _zero(content: bytes, rng: Rng) -> bytes:
    place, length = _block(content, rng)
    return content[:place] + bytes(length) + content[place + length :]


def _garble(content: bytes, rng: Rng) -> bytes:
    place, length = _block(content, rng)
    return content[:place] + rng.bytes(length) + content[place + length :]


def _repeat(content: bytes, rng: Rng) -> bytes:
    place, length = _block(content, rng)
    return content[: place + length] + content[place:]


def _swap(content: bytes, rng: Rng) -> bytes:
    """Two neighbouring blocks change places."""
    place, length = _block(content, rng)
    one, other = content[place : place + length], content[place + length : place + 2 * length]
    return content[:place] + other + one + content[place + 2 * length :]


def _cut(content: bytes, rng: Rng) -> bytes:
    return content[: _at(content, rng)]


#: One edit of each kind; most files get one, some get several.
EDITS: Mapping[str, Bytes] = {
    "bit": _flip_bit, "bit, early": _flip_bit_early, "byte": _other_byte, "digit": _other_digit, "insertion": _insert,
    "deletion": _drop, "zeros": _zero, "noise": _garble, "repetition": _repeat, "exchange": _swap, "cut": _cut,
}  # fmt: skip


def random_edit(content: bytes, rng: Rng) -> tuple[str, bytes]:
    """The content with one to four random edits, and which; never the content itself."""
    names: list[str] = []
    changed = content
    while changed == content or not names:
        names = [str(name) for name in rng.choice(list(EDITS), int(rng.choice([1, 1, 1, 2, 4])))]
        changed = content
        for name in names:
            changed = EDITS[name](changed or b"\0", rng)
    return " + ".join(names), changed


_ERROR_PAGE = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"


def _without(part: slice) -> Bytes:
    def drop(content: bytes, _: Rng) -> bytes:
        begin, end, _step = part.indices(100)
        return content[: len(content) * begin // 100] + content[len(content) * end // 100 :]

    return drop


#: Faults of bytes: what transfers, disks, editors and web servers do to files.
FIXED_BYTES: Mapping[str, Bytes] = {
    "nothing in it": lambda *_: b"",
    "the first tenth alone": _without(slice(10, 100)),
    "the first half alone": _without(slice(50, 100)),
    "the last byte missing": lambda content, _: content[:-1],
    "the last tenth missing": _without(slice(90, 100)),
    "the first tenth missing": _without(slice(0, 10)),
    "a tenth missing from the middle": _without(slice(45, 55)),
    "zeros from the middle on": lambda content, _: content[: len(content) // 2] + bytes(len(content) - len(content) // 2),
    "zeros where the first 256 bytes were": lambda content, _: bytes(256) + content[256:],
    "all ones from the middle on": lambda content, _: content[: len(content) // 2] + b"\xff" * (len(content) // 2),
    "noise of the same length": lambda content, rng: rng.bytes(len(content)),
    "the eighth bit stripped": lambda content, _: bytes(byte & 0x7F for byte in content),
    "line feeds rewritten as CR LF": lambda content, _: content.replace(b"\n", b"\r\n"),
    "neighbouring bytes exchanged": lambda content, _: bytes(np.frombuffer(content[: len(content) // 2 * 2], "<u2").byteswap()),
    "an error page in its place": lambda *_: _ERROR_PAGE,
    "packed by gzip and cut": lambda content, _: (packed := gzip.compress(content, 1))[: len(packed) // 2],
    "its first half twice": lambda content, _: content[: len(content) // 2] * 2,
    "reversed": lambda content, _: content[::-1],
}


def _row(signal: np.ndarray, row: int, values: np.ndarray | float) -> np.ndarray:
    changed = signal.copy()
    changed[row] = values
    return changed


def _order(signal: np.ndarray, one: int, other: int) -> np.ndarray:
    changed = signal.copy()
    changed[[one, other]] = signal[[other, one]]
    return changed


def _gap(signal: np.ndarray, rng: Rng) -> np.ndarray:
    changed, begin = signal.copy(), int(rng.integers(0, 800))
    changed[int(rng.integers(12)), begin : begin + 100] = np.nan
    return changed


#: Faults of content, as [12, samples] mV → the same.
FIXED_CONTENT: Mapping[str, Callable[[np.ndarray, Rng], np.ndarray]] = {
    "a flat lead": lambda signal, rng: _row(signal, int(rng.integers(12)), 0.1),
    "all leads flat": lambda signal, _: np.zeros_like(signal),
    "a lead twice": lambda signal, rng: _row(signal, int(rng.integers(7, 12)), signal[6]),
    "limb leads exchanged": lambda signal, rng: _order(signal, int(rng.integers(0, 3)), int(rng.integers(3, 6))),
    "a limb lead inverted": lambda signal, rng: _row(signal, (row := int(rng.integers(6))), -signal[row]),
    "two seconds": lambda signal, _: signal[:, :200],
    "a lead at its rail": lambda signal, rng: _row(signal, (row := int(rng.integers(12))), np.clip(signal[row] * 40, -3, 3)),
    "millivolts read as microvolts": lambda signal, _: signal / 1000,
}
_GAPS: Mapping[str, Callable[[np.ndarray, Rng], np.ndarray]] = {"a second not measured": _gap}
_HUGE: Mapping[str, Callable[[np.ndarray, Rng], np.ndarray]] = {
    "microvolts read as millivolts": lambda signal, _: signal * 1000,
    "a sample of ten kilovolts": lambda signal, _: _row(signal, 7, np.where(np.arange(signal.shape[1]) == 333, 1e7, signal[7])),
}


def faults_of_content(format_name: str) -> Mapping[str, Callable[[np.ndarray, Rng], np.ndarray]]:
    """Those that the format can hold."""
    gaps = _GAPS if format_name in _WITH_GAPS else {}
    return {**FIXED_CONTENT, **gaps, **(_HUGE if format_name in _WITHOUT_BOUND else {})}
