"""Thirty strings that lead out of a folder, put wherever a name is taken from a file or a request: is anything elsewhere opened?

Run: OMP_NUM_THREADS=1 python benchmarks/faults/hostile_names.py [--json FILE]

Beside the folder that is read lies one with a good record, a good table and a secret, so that a name that is followed is
found and read. A name ends in an error of ours that names file and reason, or, where it is the own name of a record only and no
path, as that very name; nothing elsewhere is opened, which Python's audit hooks and the kernel (inotify) watch.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cmelt.errors import CMeltError
from cmelt.publishing import verify
from cmelt.records.readers import read_ecg
from cmelt.records.readers.options import NOTHING_GIVEN
from cmelt.sources.folder import Folder
from cmelt.sources.mimic_iv_ecg import MimicIvEcg
from cmelt.sources.ptb_xl import PtbXl
from cmelt.sources.remote_files import in_sums
from cmelt.sources.source import Source
from cmelt.store import open_store
from cmelt.store.layout import manifest_sha256

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent), str(HERE.parents[1] / "tests")]
from damaged_files import count  # noqa: E402
from hostile_files import Tempting  # noqa: E402
from watching import Watch  # noqa: E402

from ecg_files import heart, write_ptb_xl, write_wfdb  # noqa: E402
from measuring import Figure, options, tell  # noqa: E402
from mimic_files import studies, write_mimic  # noqa: E402

#: {up} is the way to the folder beside, {at} its absolute place; `secret` is a record, a table and a text there.
STRINGS: tuple[str, ...] = (
    "{up}/secret", "./{up}/secret", "x/../{up}/secret", "{up}//secret", "{up}/./secret", "{at}/secret", "/{at}/secret",
    "//{at}/secret", "file://{at}/secret", "..", "../", ".", "/", "..\\outside\\secret", "..\\..\\outside\\secret",
    "C:\\outside\\secret", "C:/outside/secret", "\\\\server\\share\\secret", "....//outside/secret", "..%2foutside%2fsecret",
    "%2e%2e/outside/secret", "..%c0%afoutside/secret", "..\u2215outside\u2215secret", "\uff0e\uff0e/outside/secret", "~/secret",
    "$HOME/secret", "`cat {at}/secret.txt`", "|cat {at}/secret.txt", "/proc/self/environ", "/dev/zero",
)  # fmt: skip

Field = Callable[[Path, str], object]


def _written(header: Path, old: str, new: str) -> Path:
    header.write_text(header.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    return header


def signal_file(folder: Path, name: str) -> object:
    """A WFDB header's signal file."""
    return read_ecg(_written(write_wfdb(folder / "r", heart()), "r.dat", f"{name}.dat"))


def segment(folder: Path, name: str) -> object:
    """A segment that a WFDB header lists."""
    path = folder / "m.hea"
    path.write_text(f"m/1 12 100 1000\n{name} 1000\n", encoding="utf-8")
    return read_ecg(path)


def record_name(folder: Path, name: str) -> object:
    """The record's name in its own header."""
    header = write_wfdb(folder / "r", heart())
    first, *rest = header.read_text().splitlines()
    header.write_text("\n".join([f"{name} {first.partition(' ')[2]}", *rest]) + "\n", encoding="utf-8")
    return read_ecg(header)


def _all_read(source: Source) -> object:
    return [source.read(entry) for entry in source.entries().entries]


def archive_table(folder: Path, name: str) -> object:
    """A record in the table beside an archive of one's own."""
    (folder / "table.csv").write_text(f'record\n"{name}"\n', encoding="utf-8")
    return _all_read(Folder(str(folder), str(folder / "table.csv")))


def ptb_xl_table(folder: Path, name: str) -> object:
    """A file in PTB-XL's table."""
    write_ptb_xl(folder / "ptb-xl", 1)
    _written(folder / "ptb-xl" / "ptbxl_database.csv", "records100/00000/00001_lr", f'"{name}"')
    return _all_read(PtbXl(str(folder / "ptb-xl"), 100.0))


def mimic_table(folder: Path, name: str) -> object:
    """A path in MIMIC-IV-ECG's list of records."""
    listed = studies(1)
    write_mimic(folder / "mimic", listed)
    _written(folder / "mimic" / "record_list.csv", listed[0].path, f'"{name}"')
    return _all_read(MimicIvEcg(str(folder / "mimic")))


def download_list(folder: Path, name: str) -> object:
    """A file in the list of checksums of a download."""
    sums = folder / "SHA256SUMS.txt"
    sums.write_text(f"{'0' * 64} {name}\n", encoding="utf-8")
    return [file.path for file in in_sums(sums, "https://example.org/files")]


def model_manifest(folder: Path, name: str) -> object:
    """A file in the manifest of a model, an index, a table of negatives."""
    import hashlib

    said = {"kind": "cmelt model", "files": {name: {"bytes": 2048, "sha256": "0" * 64}}}
    own = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({**said, "sha256": own}))
    return verify(folder)


def store_manifest(folder: Path, name: str) -> object:
    """A file in the manifest of a store."""
    said = {"format": "cmelt-store", "version": 2, "files": {name: {"bytes": 2048, "sha256": "0" * 64}}, "records": 0}
    (folder / "manifest.json").write_text(json.dumps({**said, "sha256": manifest_sha256(said)}))
    return open_store(folder, "full")


def upload(folder: Path, name: str) -> object:
    """The name of a file sent to the service beside its header."""
    from cmelt.serving.http.uploads import Upload, read_uploaded

    header = write_wfdb(folder / "r", heart())
    sent = [("r.hea", header.read_bytes()), (f"{name}.dat", header.with_suffix(".dat").read_bytes())]
    return read_uploaded([Upload(one, io.BytesIO(content)) for one, content in sent], NOTHING_GIVEN)


def task_asked(folder: Path, name: str) -> object:  # noqa: ARG001 (a request reads no folder)
    """A task asked of the service: a path of a file would be one for the command."""
    from cmelt.serving.http.question import question_of

    return question_of({"task": [f"{name}.yaml"]})


def class_asked(folder: Path, name: str) -> object:  # noqa: ARG001 (a request reads no folder)
    """A class asked of the service."""
    from cmelt.serving.http.question import question_of

    return question_of({"classes": [name]})


#: What a name is taken from.
FIELDS: Mapping[str, Field] = {
    "signal file in a WFDB header": signal_file,
    "segment in a WFDB header": segment,
    "record name in a WFDB header": record_name,
    "record in an archive's table": archive_table,
    "file in PTB-XL's table": ptb_xl_table,
    "path in MIMIC-IV-ECG's list": mimic_table,
    "file in a download's list": download_list,
    "file in a model's manifest": model_manifest,
    "file in a store's manifest": store_manifest,
    "name of an uploaded file": upload,
    "task in a request": task_asked,
    "class in a request": class_asked,
}
#: Names of these are no paths: one that no file system minds is taken as it is.
PLAIN = ("record name in a WFDB header", "file in a download's list")


def tried(root: Path) -> list[tuple[str, str, str, list[str]]]:
    """Every string in every field: field, string, the error ("" where there was none) and what was opened elsewhere."""
    tempting = Tempting(root / "outside")
    write_wfdb(root / "outside" / "secret", heart())
    temporary = root / "temporary"
    temporary.mkdir()
    tempfile.tempdir = str(temporary)
    watch = Watch(root / "inside", temporary=temporary)
    outcomes = []
    for place, (field, use) in enumerate(FIELDS.items()):
        for number, string in enumerate(STRINGS):
            folder = root / "inside" / f"{place:02d}-{number:02d}"
            folder.mkdir(parents=True)
            name = string.format(up=_up(field), at=str(root / "outside").lstrip("/"))
            told = _tried(use, folder, name)
            watch.outside.clear()
            tempting.touched()
            with watch:
                told = _tried(use, folder, name)
            outside = [one for one in watch.outside if not one.split(" ", 1)[1].startswith(str(root / "inside"))]
            outcomes.append((field, string, told, [*outside, *(f"touched {one}" for one in tempting.touched())]))
    return outcomes


def _up(field: str) -> str:
    """The way from the field's folder to the one beside."""
    return "../../../outside" if field.startswith(("file in PTB", "path in MIMIC")) else "../../outside"


def _tried(use: Field, folder: Path, name: str) -> str:
    try:
        use(folder, name)
    except CMeltError as error:
        return str(error)
    return ""


def figures_of(outcomes: Sequence[tuple[str, str, str, list[str]]]) -> list[Figure]:
    """Counts of what was promised."""
    refused = sum(bool(told) for _, _, told, _ in outcomes)
    plain = sum(not told for field, _, told, _ in outcomes if field in PLAIN)
    return [
        count("names refused, or taken as the plain name that they are", refused + plain, len(outcomes), f"{plain} plain"),
        count("names that had nothing opened elsewhere", sum(not outside for *_, outside in outcomes), len(outcomes)),
    ]


def main() -> None:
    """Try all, print, tell."""
    chosen = options(__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="cmelt-names-") as folder:
        outcomes = tried(Path(folder))
    for field, string, told, outside in outcomes:
        if outside or (not told and field not in PLAIN):
            print(f"{field}: {string!r}: {told or 'taken'} {'; '.join(outside)}")
    for field in FIELDS:
        mine = [one for one in outcomes if one[0] == field]
        print(f"| {field} | {len(mine)} | refused {sum(bool(told) for _, _, told, _ in mine)} | e.g. {mine[0][2][-110:]} |")
    tell(figures_of(outcomes), chosen.json)


if __name__ == "__main__":
    main()
