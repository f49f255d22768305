"""What an HDF5 file holds of an ECG: the arrays and facts known by their names, every size checked before it is read.

Runs in the child process of `apart`. Nothing is followed out of the file: no external links, files or virtual datasets, and no
filter but those that HDF5 itself brings.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cmelt.errors import RecordError
from cmelt.records.readers.bare_arrays import many_records
from cmelt.records.readers.limits import LARGEST_FILE
from cmelt.records.readers.stated import KNOWN_NAMES, SIGNAL_NAMES, plain

if TYPE_CHECKING:
    import h5py

_MOST_LINKS = 1000
_DEEPEST = 2
#: Values of an attribute or a dataset that states something: names of leads, a report.
_MOST_STATED = 4096
_MOST_STATED_BYTES = 1 << 20
_LARGEST_CHUNK = 64 << 20
_DEFLATE, _SHUFFLE, _FLETCHER, _SCALEOFFSET = 1, 2, 3, 6
_PLAIN_FILTERS = (_DEFLATE, _SHUFFLE, _FLETCHER, _SCALEOFFSET)


def contents(path: Path, announce: Callable[[int], None]) -> dict[str, Any]:
    """The known entries of the file at `path`: attributes and datasets, of groups likewise (two deep).

    `announce` is told how many bytes an array has before it is read.

    Raises:
        RecordError: more than an ECG holds, many records in one array, or something that leads out of the file.
        OSError, RuntimeError, …: whatever h5py finds wrong with it.
    """
    import h5py

    with h5py.File(path, "r") as file:
        return _Reading(str(path), announce, matlab=False).group(file, 0)


def matlab_contents(path: Path, announce: Callable[[int], None]) -> dict[str, Any]:
    """As `contents`, for a v7.3 MATLAB file: arrays turned, texts and cells decoded."""
    import h5py

    with h5py.File(path, "r") as file:
        return _Reading(str(path), announce, matlab=True).group(file, 0)


class _Reading:
    """One file being read, with how many bytes it may still give."""

    def __init__(self, where: str, announce: Callable[[int], None], *, matlab: bool) -> None:
        self.where, self.announce, self.matlab, self.left = where, announce, matlab, LARGEST_FILE

    def group(self, group: h5py.Group, depth: int) -> dict[str, Any]:
        """Known entries of `group`, by name."""
        import h5py

        if len(group) > _MOST_LINKS:
            raise RecordError(self.where, f"holds more than {_MOST_LINKS} entries", "write one record a file")
        found = self._attributes(group)
        for name in group:
            if plain(name) not in KNOWN_NAMES and (name.startswith("#") or depth >= _DEEPEST):
                continue
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                if plain(name) in KNOWN_NAMES:
                    raise RecordError(self.where, "has its signal behind a link", "copy the data into the file")
                continue
            entry = group[name]
            if isinstance(entry, h5py.Group) and depth < _DEEPEST:
                inner = self.group(entry, depth + 1)
                found |= {name: inner} if inner else {}
            elif isinstance(entry, h5py.Dataset) and plain(name) in KNOWN_NAMES:
                found[name] = self._dataset(entry, name)
                if plain(name) in SIGNAL_NAMES:
                    # The added space keeps both where group and dataset state something, so that a contradiction is seen.
                    found |= {f"{key} ": value for key, value in self._attributes(entry).items()}
        return found

    def _attributes(self, holder: h5py.Group | h5py.Dataset) -> dict[str, Any]:
        import h5py

        found: dict[str, Any] = {}
        if len(holder.attrs) > _MOST_LINKS:
            raise RecordError(self.where, f"holds more than {_MOST_LINKS} attributes", "write one record a file")
        for name in holder.attrs:
            if plain(name) in KNOWN_NAMES:
                attribute = h5py.h5a.open(holder.id, name.encode())
                if math.prod(attribute.shape) > _MOST_STATED or attribute.get_storage_size() > _MOST_STATED_BYTES:
                    raise RecordError(self.where, "has an attribute too large to state anything", "write one record a file")
                found[name] = _told(holder.attrs[name])
        return found

    def _dataset(self, dataset: h5py.Dataset, name: str) -> Any:
        refuse_outside(dataset, self.where)
        kind = dataset.attrs.get("MATLAB_class", b"") if self.matlab else b""
        if kind in (b"char", b"cell", "char", "cell"):
            return self._matlab_text(dataset)
        if kind in (b"function_handle", b"FunctionHandle", b"string", b"table") or "MATLAB_object_decode" in dataset.attrs:
            raise RecordError(self.where, "holds an object, which is not read", "save plain arrays and structs")
        size = math.prod(dataset.shape or ())
        if plain(name) not in SIGNAL_NAMES and size > _MOST_STATED:
            raise RecordError(self.where, "has an entry too large to state anything", "write one record a file")
        if dataset.dtype.kind not in "iuf":
            if plain(name) in SIGNAL_NAMES:
                raise RecordError(self.where, "holds values that are not real numbers", "write float32 or int16")
            return self._stated(dataset)
        if len(dataset.shape) == 3 and dataset.shape[0] > 1 and not self.matlab:
            raise many_records(self.where)
        self.left -= size * dataset.dtype.itemsize
        if self.left < 0 or dataset.dtype.itemsize > 8:
            raise RecordError(
                self.where, f"announces {size} values", f"more than {LARGEST_FILE >> 20} MiB are not read: cut the record"
            )
        self.announce(size * dataset.dtype.itemsize)
        refuse_incomplete(dataset, self.where)
        array = np.asarray(dataset[()])
        if self.matlab:
            return np.empty((0, 0)) if "MATLAB_empty" in dataset.attrs else array.T
        return array

    def _stated(self, dataset: h5py.Dataset) -> Any:
        if math.prod(dataset.shape or ()) > _MOST_STATED or dataset.dtype.itemsize > _MOST_STATED_BYTES // _MOST_STATED:
            raise RecordError(self.where, "has an entry too large to state anything", "write one record a file")
        refuse_incomplete(dataset, self.where)
        return _told(dataset[()])

    def _matlab_text(self, dataset: h5py.Dataset) -> Any:
        """A char array, or a cell array of them: references to datasets of the same file."""
        import h5py

        if math.prod(dataset.shape or ()) > _MOST_STATED:
            raise RecordError(self.where, "has an entry too large to state anything", "write one record a file")
        refuse_incomplete(dataset, self.where)
        values = dataset[()]
        if dataset.dtype.kind in "iu":  # UTF-16 code units, columns first
            lines = np.atleast_2d(values.T)
            texts = ["".join(chr(int(code)) for code in line).strip("\0 ") for line in lines]
            return texts[0] if len(texts) == 1 else texts
        found = []
        for reference in np.ravel(values):
            inner = dataset.file[reference] if isinstance(reference, h5py.Reference) else None
            if not isinstance(inner, h5py.Dataset) or inner.dtype.kind not in "iu":
                raise RecordError(self.where, "holds a cell array that is not of texts", "save plain arrays and structs")
            refuse_outside(inner, self.where)
            found.append(self._matlab_text(inner))
        return found


def refuse_outside(dataset: h5py.Dataset, where: str) -> None:
    """Refuse a dataset whose values lie outside its file, or behind a filter that is not HDF5's own.

    Raises:
        RecordError: external files, a virtual dataset, a foreign filter, or a chunk larger than an ECG.
    """
    if dataset.external is not None or dataset.is_virtual:
        raise RecordError(where, "has its values in other files", "copy the data into the file")
    settings = dataset.id.get_create_plist()
    if any(settings.get_filter(number)[0] not in _PLAIN_FILTERS for number in range(settings.get_nfilters())):
        raise RecordError(where, "is packed by a filter that is not HDF5's own", "write it with gzip, or unpacked")
    if dataset.chunks is not None and math.prod(dataset.chunks) * dataset.dtype.itemsize > _LARGEST_CHUNK:
        raise RecordError(where, "is cut into chunks larger than an ECG", "write it in smaller chunks")


def refuse_incomplete(dataset: h5py.Dataset, where: str) -> None:
    """Refuse values that are not all there, which HDF5 would fill with zeros, and chunks that unpack to more than they announce,
    which it would unpack whole, however large they come out.

    Raises:
        RecordError: either, or values that are packed twice.
    """
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    if dataset.chunks is None:
        if dataset.dtype.kind in "iuf" and dataset.id.get_storage_size() != size:  # texts and references are stored otherwise
            raise RecordError(where, "does not hold what it announces", "it is truncated or altered: write it again")
        return
    expected = math.prod(-(-length // chunk) for length, chunk in zip(dataset.shape, dataset.chunks, strict=True))
    if dataset.id.get_num_chunks() != expected:
        raise RecordError(where, "does not hold what it announces", "it is truncated or altered: write it again")
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(number)[0] for number in range(settings.get_nfilters())]
    if _DEFLATE not in filters:
        return
    if len(set(filters)) < len(filters) or filters[filters.index(_DEFLATE) + 1 :] not in ([], [_FLETCHER]):
        raise RecordError(where, "is packed in an unusual way", "write it with gzip, or unpacked")
    most = math.prod(dataset.chunks) * dataset.dtype.itemsize + 1024
    for number in range(expected):
        mask, packed = dataset.id.read_direct_chunk(dataset.id.get_chunk_info(number).chunk_offset)
        if not mask & 1 << filters.index(_DEFLATE) and len(zlib.decompressobj().decompress(packed, most + 1)) > most:
            raise RecordError(where, "unpacks to more than it announces", "no ECG does: check where it comes from")


def _told(value: Any) -> Any:
    """An attribute's or small dataset's value as text, number, list of texts or array of numbers."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.generic):
        return _told(value.item())
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "iuf":
            return value
        return [_told(part) for part in value.ravel().tolist()]
    return value if isinstance(value, str | int | float | bool) else None
