"""A search index of a store on disk: vectors, what is told of their records, and which of these a filter lets through.

OUT/manifest.json  model, store, precision, SHA-256 of every other file; written last
OUT/vectors/       the index of `cmelt.index`
OUT/records.arrow  a row a vector: name, report, age, sex, labels, split, source, row in the store; memory-mapped

Report texts lie in it as they do in the store: keep it where the store may lie.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import ConfigError, StoreError
from cmelt.index.opened import Index
from cmelt.index.opened import open_index as open_vectors
from cmelt.publishing import MANIFEST, verify
from cmelt.records.record import Record
from cmelt.store.opened import Store, open_store

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT, VERSION = "cmelt-search", 1
VECTORS, RECORDS = "vectors", "records.arrow"

#: Spellings of sex that are understood, and what the store calls it.
SEXES = {"f": "female", "female": "female", "m": "male", "male": "male"}


@dataclass(frozen=True)
class Filters:
    """Which records may be found; all that is given must hold.

    Attributes:
        age: years, lowest and highest, both included; None leaves a side open. Records of unknown age are left out.
        sex: "female" or "male", or "f" and "m"; records of unknown sex are left out.
        labels: statements that a record must all have, with their vocabulary ("scp:AFIB") or without ("AFIB").
    """

    age: tuple[float | None, float | None] | None = None
    sex: str | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises ConfigError for what is no range, or no sex."""
        object.__setattr__(self, "age", _age(self.age))
        object.__setattr__(self, "sex", _sex(self.sex))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Filters:
        """From {"age": (low, high), "sex": "f", "label": "AFIB"}; `label` may be several. Raises ConfigError."""
        if unknown := given.keys() - {"age", "sex", "label"}:
            raise ConfigError("filters", f"{', '.join(sorted(unknown))} is no filter", "known: age, sex, label")
        label = given.get("label")
        labels = () if label is None else (label,) if isinstance(label, str) else tuple(label)
        return cls(given.get("age"), given.get("sex"), labels)


@dataclass(frozen=True)
class SearchFacts:
    """What an index says of itself.

    Attributes:
        model: SHA-256 of the weights that made the vectors; `model_name` is what they were called then.
        precision: what the ECG tower multiplied in.
        store: SHA-256 of the store; `store_path` is where it lay then.
        records: how many.
    """

    model: str
    model_name: str
    precision: str
    store: str
    store_path: str
    records: int

    def to_manifest(self) -> dict[str, Any]:
        """As a manifest holds them."""
        return {"format": FORMAT, "format_version": VERSION, **asdict(self)}

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any], folder: Path) -> SearchFacts:
        """Raises StoreError for an index of another version, or an incomplete manifest."""
        if manifest.get("format_version") != VERSION:
            fault = f"is an index of version {manifest.get('format_version')}, this program reads {VERSION}"
            raise StoreError(folder, fault, "make it again with `cmelt index`")
        try:
            texts = {name: str(manifest[name]) for name in ("model", "model_name", "precision", "store", "store_path")}
            return cls(**texts, records=int(manifest["records"]))
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(folder, "its manifest lacks what an index says", "make it again with `cmelt index`") from error


@dataclass(frozen=True)
class SearchIndex:
    """An index that is ready to be asked by `cmelt.search`. Reading is safe from several threads.

    Attributes:
        folder: where it lies.
        facts: model, store and size.
        vectors: a unit vector a row.
        records: what is told of each row.
    """

    folder: Path
    facts: SearchFacts
    vectors: Index
    records: pa.Table

    def __len__(self) -> int:
        return self.facts.records

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that a record has, sorted."""
        return tuple(sorted(self._labelled))

    def rows(self, filters: Filters) -> NDArray[np.int64]:
        """The rows that the filters let through, ascending. Raises ConfigError for a label that no record has."""
        chosen = np.ones(len(self), dtype=bool)
        if filters.age is not None:
            age, (low, high) = self._ages, filters.age
            chosen &= (
                np.isfinite(age) & (age >= (-math.inf if low is None else low)) & (age <= (math.inf if high is None else high))
            )
        if filters.sex is not None:
            chosen &= self._sexes == filters.sex
        for label in filters.labels:
            has = np.zeros(len(self), dtype=bool)
            for name in self._labels_called(label):
                has[self._labelled[name]] = True
            chosen &= has
        return np.flatnonzero(chosen).astype(np.int64)

    def ecg(self, row: int) -> Record:
        """The ECG of a row, with the leads that were measured, read from the store.

        Raises StoreError where the store is gone or another (`open_index(…, store=…)` says where it lies now).
        """
        found = self._store.record(int(self.records["row"][row].as_py()))
        there = [number for number, lead in enumerate(self._store.leads) if lead not in found.missing_leads]
        told = self.records.slice(row, 1).to_pylist()[0]
        return Record(
            found.signal[there],
            found.rate,
            tuple(self._store.leads[number] for number in there),
            identifier=found.record,
            report=told["report"],
            age=told["age"],
            sex=told["sex"],
            labels=found.labels,
        )

    @cached_property
    def _store(self) -> Store:
        store = open_store(self.facts.store_path)
        if store.sha256 != self.facts.store:
            raise StoreError(
                store.path, "is not the store that this index was made of", "open it with the right one, or index again"
            )
        return store

    @cached_property
    def _ages(self) -> NDArray[np.float64]:
        """[n], NaN where it is not known."""
        return np.asarray(self.records["age"].to_numpy(), dtype=np.float64)

    @cached_property
    def _sexes(self) -> NDArray[np.object_]:
        """[n], None where it is not known."""
        return np.asarray(self.records["sex"].to_numpy(), dtype=object)

    @cached_property
    def _labelled(self) -> dict[str, NDArray[np.int64]]:
        """Label → the rows that have it."""
        import pyarrow.compute as pc

        lists = self.records["labels"].combine_chunks()
        rows, names = pc.list_parent_indices(lists).to_numpy(), pc.list_flatten(lists).dictionary_encode()
        number = names.indices.to_numpy()
        ends = np.cumsum(np.bincount(number, minlength=len(names.dictionary)))
        parts = np.split(rows[np.argsort(number, kind="stable")], ends[:-1])
        return dict(zip(names.dictionary.to_pylist(), parts, strict=False))

    def _labels_called(self, label: str) -> list[str]:
        """Labels of that name, with or without their vocabulary, whatever the case."""
        wanted = label.strip().casefold()
        found = [name for name in self._labelled if wanted in (name.casefold(), name.partition(":")[2].casefold())]
        if found:
            return found
        bare = {name.partition(":")[2] or name for name in self._labelled}
        near = get_close_matches(label, bare, n=3)
        remedy = f"perhaps {' or '.join(near)}" if near else f"it knows {', '.join(self.labels[:8])} …"
        raise ConfigError("filters.label", f"no record of this index has the label {label}", remedy)


def open_index(folder: str | Path, *, store: str | Path | None = None) -> SearchIndex:
    """Open the index at `folder` that `cmelt index` made. Vectors and records are memory-mapped.

    Args:
        store: where the store lies now, if it was moved; only the ECGs themselves (`SearchIndex.ecg`) are read from it.
    Raises:
        StoreError: no index there, another version, or a file that is missing, cut or altered; it is named.
    """
    import pyarrow as pa

    folder = Path(folder)
    _refuse_foreign(folder)
    # The vectors' own manifest says how they are checked; that it is itself is checked here.
    inside = {path.relative_to(folder).as_posix() for path in (folder / VECTORS).glob("*") if path.name != "manifest.json"}
    manifest = verify(folder, StoreError, sizes_only=inside)
    facts = SearchFacts.of_manifest(manifest, folder)
    if store is not None:
        facts = SearchFacts(**{**asdict(facts), "store_path": str(Path(store).absolute())})
    vectors = open_vectors(folder / VECTORS, {"model": facts.model, "store": facts.store})
    try:
        records = pa.ipc.open_file(pa.memory_map(str(folder / RECORDS))).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(folder / RECORDS, f"cannot be read ({type(error).__name__})", "make the index again") from error
    if not len(records) == len(vectors) == facts.records:
        raise StoreError(folder, f"{len(vectors)} vectors of {len(records)} records", "make the index again")
    return SearchIndex(folder, facts, vectors, records)


def _refuse_foreign(folder: Path) -> None:
    """Say what is no index, a store for instance, before its hashes are looked at. Raises StoreError."""
    try:
        found = json.loads((folder / MANIFEST).read_bytes())
    except OSError:
        found = {}
    except ValueError:
        return  # damaged: what is wrong with it is said by `verify`
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise StoreError(folder, "holds no search index of a store", "make one with `cmelt index STORE --out DIR`")


def _age(given: Any) -> tuple[float | None, float | None] | None:
    if given is None:
        return None
    try:
        low, high = (None if bound is None else float(bound) for bound in given)
    except (TypeError, ValueError):
        raise ConfigError("filters.age", f"{given!r} is no range", "give (40, 60), or (40, None)") from None
    if any(bound is not None and not math.isfinite(bound) for bound in (low, high)):
        raise ConfigError("filters.age", "a bound that is no number", "leave a side open with None")
    if low is not None and high is not None and low > high:
        raise ConfigError("filters.age", f"{low:g} to {high:g} is empty", "the lower age comes first")
    return low, high


def _sex(given: Any) -> str | None:
    if given is None:
        return None
    if str(given).casefold() not in SEXES:
        raise ConfigError("filters.sex", f"{given!r} is none that records have", "female or male")
    return SEXES[str(given).casefold()]
