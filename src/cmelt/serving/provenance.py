"""From an answer back to where it comes from: weights, the run that made them, the stores it read, the files these were made of.

Each step is named by a SHA-256 that the step before states, and is checked where the thing itself is at hand. What nobody wrote
down, or what does not lie here, is said to be so.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmelt.checkpoints.finding import BUNDLED, bundled_models, find_model
from cmelt.errors import CheckpointError, ConfigError, RecordError
from cmelt.publishing import verify

if TYPE_CHECKING:
    from cmelt.store.opened import Store

#: The key of a model's manifest under which the run that made it is described: its whole recipe, and its stores by SHA-256.
RUN = "run"
WEIGHTS = "model.safetensors"
#: Source files that are read again of each store.
FILES_READ = 20

_SHA256 = re.compile(r"[0-9a-f]{64}")
#: The service's header, in what `curl -i` prints.
_HEADER = re.compile(rb"^x-cmelt-model:\s*([0-9a-f]{64})\s*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One step back.

    Attributes:
        what: "weights", "run", "store" or "source files".
        sha256: of it; empty where nothing states one.
        place: where it lies; empty where it is not at hand.
        checked: how far it was made sure that it is what it should be.
        facts: what else there is to say.
    """

    what: str
    sha256: str
    place: str
    checked: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Named:
    """What an answer says of its making: the SHA-256 of weights, their name where it tells one, of an index's store likewise."""

    weights: str
    name: str = ""
    store: str = ""


def named_in(content: bytes) -> Named:
    """What an answer names: its JSON, or all that `curl -i` prints of one, whatever it says; or a SHA-256 by itself.

    Raises:
        ConfigError: it names no weights.
    """
    text = content.strip()
    if _SHA256.fullmatch(found := text[:65].decode("ascii", "replace")):
        return Named(found)
    header = _HEADER.search(content)
    body = content[content.find(b"\r\n\r\n") + 4 :] if header else text
    try:
        told = json.loads(body)
        model = told["model"]
        return Named(_sha256_in(model["sha256"]), str(model.get("name", "")), str(told.get("store", "")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        if header:
            return Named(header[1].decode().lower())
    fault = "names no weights: it has no model with a sha256, and no header X-CMelt-Model"
    raise ConfigError("the answer", fault, "save it with curl -i, or give the SHA-256 itself")


def provenance(
    named: Named, model: str | Path | None = None, stores: Sequence[Path] = (), sources: Sequence[Path] = ()
) -> tuple[Step, ...]:
    """The chain from weights to source files, as far as it is written down and lies here.

    Args:
        model: where the weights may lie, beside the bundled models.
        stores: that the run may have read.
        sources: folders of the datasets that these may have been made of.
    Raises:
        CheckpointError: these weights are not here, or altered.
        StoreError: a store is altered.
    """
    folder, manifest = _weights(named, model)
    run = manifest.get(RUN)
    known = _opened(stores)
    steps = [_weights_step(folder, manifest), _run_step(manifest, run)]
    wanted = _stores_of(manifest, run)
    if named.store and named.store not in [one["store"] for one in wanted]:
        wanted = [*wanted, {"store": named.store, "role": "was searched"}]
    for one in wanted:
        store = known.get(str(one["store"]))
        steps.append(_store_step(one, store))
        if store is not None:
            steps.append(_files_step(store, sources))
    return tuple(steps)


def _weights(named: Named, model: str | Path | None) -> tuple[Path, dict[str, Any]]:
    """The folder that has these weights, and its manifest. Raises CheckpointError."""
    places = [find_model(model)] if model is not None else []
    places += [BUNDLED / name for name in sorted(bundled_models(), key=lambda one: one != named.name)]
    for folder in places:
        manifest = verify(folder, CheckpointError)
        if manifest["files"].get(WEIGHTS, {}).get("sha256") == named.weights:
            return folder, manifest
    fault = f"no model here has weights of SHA-256 {named.weights}"
    raise CheckpointError(named.name or "model", fault, "say where the one that answered lies: --model FOLDER")


def _weights_step(folder: Path, manifest: Mapping[str, Any]) -> Step:
    facts = {key: manifest[key] for key in ("version", "precision", "step", "seed") if key in manifest}
    if trained := manifest.get("trained_weights"):
        facts["made from the run's own weights"] = trained
    sha256 = manifest["files"][WEIGHTS]["sha256"]
    return Step("weights", sha256, str(folder / WEIGHTS), "every file of the folder has the SHA-256 of its manifest", facts)


def _run_step(manifest: Mapping[str, Any], run: Mapping[str, Any] | None) -> Step:
    facts = {key: manifest[key] for key in ("recipe", "reproduce") if key in manifest}
    if run is None:
        known = "only the recipe's name is written down" if facts else "nothing is written down"
        return Step("run", "", "", f"{known}: the model was saved without its run's configuration", facts)
    place = f"{RUN!r} in the model's manifest"
    return Step("run", _hash_of(run), place, "within the manifest, whose own SHA-256 holds", {**facts, "configuration": run})


def _stores_of(manifest: Mapping[str, Any], run: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Stores that the run read, each with what is known of it; what only a sentence of the manifest names, too."""
    if run is not None:
        return list(run.get("stores") or [{"store": run["store"]}])
    told = str(manifest.get("training", {}).get("store", ""))
    return [{"store": found} for found in _SHA256.findall(told)] or (
        [{"store": str(manifest["store"])}] if "store" in manifest else []
    )


def _opened(stores: Sequence[Path]) -> dict[str, Store]:
    """Stores by SHA-256, every file of them hashed. Raises StoreError."""
    from cmelt.store.opened import open_store

    opened = [open_store(path, verify="full") for path in stores]
    return {store.sha256: store for store in opened}


def _store_step(wanted: Mapping[str, Any], store: Store | None) -> Step:
    facts = {key: value for key, value in wanted.items() if key != "store"}
    if store is None:
        return Step("store", str(wanted["store"]), "", "not looked at: give the store with --data", facts)
    kept = ("source", "records", "patients", "splits", "rate", "seconds", "crop")
    facts |= {key: store.manifest[key] for key in kept if key in store.manifest}
    return Step("store", store.sha256, str(store.path), "every file has the SHA-256 of the store's manifest", facts)


def _files_step(store: Store, sources: Sequence[Path]) -> Step:
    """The files of a store's records, some of them read again: an ECG is known by its fingerprint, whatever file it is in."""
    from cmelt.store.layout import INDEX

    index = store.index
    count = min(FILES_READ, len(index))
    some = [round(number * (len(index) - 1) / max(count - 1, 1)) for number in range(count)]
    origins = index["origin"].iloc[some].tolist()
    facts: dict[str, Any] = {"records": len(index), "named in": f"{INDEX}, column origin", "such as": origins[:3]}
    sha256 = store.manifest["files"][INDEX]["sha256"]
    place = next((folder for folder in sources for origin in origins if _file(folder, str(origin))), None)
    if place is None:
        return Step("source files", sha256, "", "not looked at: give the dataset's folder with --sources", facts)
    wanted = index["fingerprint"].iloc[some].tolist()
    same = [_fingerprint(place, str(origin)) == known for origin, known in zip(origins, wanted, strict=True)]
    told = f"{sum(same)} of {len(same)} that were read again have the fingerprint that the store has"
    return Step("source files", sha256, str(place), told, facts)


def _file(folder: Path, origin: str) -> Path | None:
    """The file below `folder` that a store calls `origin`; None where there is none, or where it is not below."""
    for name in (f"{origin}.hea", origin):
        path = folder / name
        if path.resolve().is_relative_to(folder.resolve()) and path.is_file():
            return path
    return None


def _fingerprint(folder: Path, origin: str) -> str:
    """Of the ECG in that file; empty where it cannot be read."""
    from cmelt.records.fingerprint import fingerprint
    from cmelt.records.readers import read_ecg

    path = _file(folder, origin)
    try:
        return "" if path is None else fingerprint(read_ecg(path))
    except RecordError:
        return ""


def as_json(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """Plain dictionaries, lists and numbers."""
    return [asdict(step) for step in steps]


def _sha256_in(value: object) -> str:
    text = str(value).lower()
    if not _SHA256.fullmatch(text):
        raise ValueError
    return text


def _hash_of(run: Mapping[str, Any]) -> str:
    """SHA-256 of a run's configuration as JSON with sorted keys and no spaces."""
    return hashlib.sha256(json.dumps(run, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
