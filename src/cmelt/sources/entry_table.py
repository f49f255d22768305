"""A long listing kept in columns: 800,000 entries in some 100 MB, made into `Entry` objects where they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, overload

from cmelt.sources.source import Entry

if TYPE_CHECKING:
    import pyarrow as pa

_FIELDS = ("record", "place", "split", "patient", "report", "labels", "age", "sex", "origin")
#: Few distinct values among many: kept once.
_REPEATED = ("split", "patient", "report", "labels", "sex")
_BATCH = 20_000


class EntryTable(Sequence[Entry]):
    """A sequence of entries, read-only; pickles and compares as its entries do."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @classmethod
    def collect(cls, entries: Iterable[Entry]) -> EntryTable:
        """The entries of an iterator, taken up batch by batch, so that they are never all in memory as objects."""
        import pyarrow as pa

        pending, batches = iter(entries), []
        while batch := list(islice(pending, _BATCH)):
            batches.append(pa.Table.from_pylist([_cells(entry) for entry in batch], schema=_schema()))
        table = pa.concat_tables(batches) if batches else _schema().empty_table()
        return cls(table.unify_dictionaries())

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Entry, ...]: ...

    def __getitem__(self, place: int | slice) -> Entry | tuple[Entry, ...]:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            if step != 1:
                return tuple(self[number] for number in range(start, stop, step))
            return tuple(_entry(cells) for cells in self._table.slice(start, max(stop - start, 0)).to_pylist())
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        return _entry(self._table.slice(place % len(self), 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Entry]:
        for start in range(0, len(self), _BATCH):
            yield from self[start : start + _BATCH]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EntryTable) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def _schema() -> pa.Schema:
    import pyarrow as pa

    def kind(name: str) -> pa.DataType:
        if name == "age":
            return pa.float64()
        return pa.dictionary(pa.int32(), pa.string()) if name in _REPEATED else pa.string()

    return pa.schema([(name, kind(name)) for name in _FIELDS])


def _cells(entry: Entry) -> dict[str, Any]:
    cells: dict[str, Any] = {name: getattr(entry, name) for name in _FIELDS}
    cells["labels"] = "\n".join(entry.labels)
    return cells


def _entry(cells: dict[str, Any]) -> Entry:
    labels = cells.pop("labels")
    return Entry(**cells, labels=tuple(labels.split("\n")) if labels else ())
