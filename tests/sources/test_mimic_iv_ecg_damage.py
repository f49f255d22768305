"""A MIMIC-IV-ECG tree with broken records among good ones: each broken one is named with its reason, each good one stored."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from cmelt.records.record import LEADS
from cmelt.records.resample import resample
from cmelt.sources.mimic_iv_ecg import MimicIvEcg
from cmelt.store import ShardSettings, open_store, prepare_store
from ecg_files import heart
from mimic_files import Study, studies, write_mimic

SETTINGS = ShardSettings(100.0, 10.0, "first", "a test's key")


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def of(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)


def a_folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


def nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x40
    path.write_bytes(content)


def without_last_lead(stem: Path) -> None:
    lines = of(stem, ".hea").read_text().splitlines()
    of(stem, ".hea").write_text("\n".join(line for line in lines if not line.endswith(" V6")) + "\n")


def every_value(stem: Path, value: int) -> None:
    """All samples `value`, with checksums that fit."""
    of(stem, ".dat").write_bytes(np.full(60_000, value, "<i2").tobytes())
    lines = of(stem, ".hea").read_text().splitlines()
    for number in range(1, 13):
        fields = lines[number].split()
        fields[5:7] = [str(value), str(5000 * value % 65536)]
        lines[number] = " ".join(fields)
    of(stem, ".hea").write_text("\n".join(lines) + "\n")


#: What can happen to a record on its way; each makes it unusable.
DAMAGE: Mapping[str, Callable[[Path], object]] = {
    "samples truncated": lambda stem: os.truncate(of(stem, ".dat"), 77_777),
    "samples empty": lambda stem: os.truncate(of(stem, ".dat"), 0),
    "samples gone": lambda stem: of(stem, ".dat").unlink(),
    "samples too many": lambda stem: of(stem, ".dat").write_bytes(of(stem, ".dat").read_bytes() + b"\0\0"),
    "a folder for samples": lambda stem: a_folder_in_its_place(of(stem, ".dat")),
    "samples elsewhere": lambda stem: nowhere(of(stem, ".dat")),
    "a bit flipped": lambda stem: flip(of(stem, ".dat"), 50_001),
    "header truncated": lambda stem: os.truncate(of(stem, ".hea"), 130),
    "header empty": lambda stem: os.truncate(of(stem, ".hea"), 0),
    "header gone": lambda stem: of(stem, ".hea").unlink(),
    "a folder for the header": lambda stem: a_folder_in_its_place(of(stem, ".hea")),
    "header of noise": lambda stem: of(stem, ".hea").write_bytes(np.random.default_rng(1).bytes(700)),
    "header of another record": lambda stem: rewrite(of(stem, ".hea"), f"{stem.name}.dat", "40000001.dat"),
    "header with a path": lambda stem: rewrite(of(stem, ".hea"), f"{stem.name}.dat", "../../x.dat"),
    "rate altered": lambda stem: rewrite(of(stem, ".hea"), " 12 500 5000", " 12 250 5000"),
    "rate negative": lambda stem: rewrite(of(stem, ".hea"), " 12 500 5000", " 12 -500 5000"),
    "a trillion samples": lambda stem: rewrite(of(stem, ".hea"), " 12 500 5000", " 12 500 1000000000000"),
    "one signal less announced": lambda stem: rewrite(of(stem, ".hea"), " 12 500 5000", " 11 500 5000"),
    "one signal less described": without_last_lead,
    "gain of zero": lambda stem: rewrite(of(stem, ".hea"), "200.0(0)/mV", "0(0)/mV"),
    "no gain": lambda stem: rewrite(of(stem, ".hea"), " 200.0(0)/mV 16", ""),
    "unit of another quantity": lambda stem: rewrite(of(stem, ".hea"), "200.0(0)/mV", "200.0(0)/mmHg"),
    "a lead twice": lambda stem: rewrite(of(stem, ".hea"), " 0 V2", " 0 V1"),
    "another patient": lambda stem: rewrite(of(stem, ".hea"), "subject_id>: 1", "subject_id>: 2"),
    "nothing measured": lambda stem: every_value(stem, -32768),
    "all leads flat": lambda stem: every_value(stem, 17),
}


def broken_tree(root: Path, count: int) -> tuple[list[Study], dict[str, str]]:
    """A tree of `count` studies, every eleventh broken in turn; the studies, and what happened to each broken one."""
    listed = studies(count)
    write_mimic(root, listed)
    broken: dict[str, str] = {}
    kinds = list(DAMAGE)
    for study in listed[5::11]:
        kind = kinds[len(broken) % len(kinds)]
        DAMAGE[kind](root / study.path)
        broken[str(study.number)] = kind
    return listed, broken


def check(root: Path, out: Path, count: int, workers: int) -> None:
    listed, broken = broken_tree(root, count)
    shutil.rmtree((root / listed[0].path).parent)  # never fetched: missing, not broken
    prepared = prepare_store(MimicIvEcg(str(root)), out, SETTINGS, shard_records=64, workers=workers)
    store = open_store(out, verify="full")
    assert {line["record"] for line in store.quarantine} == set(broken)
    assert all(line["reason"] and line["remedy"] for line in store.quarantine)
    assert prepared.missing_files == 1
    good = [str(study.number) for study in listed[1:] if str(study.number) not in broken]
    assert store.index["record"].to_list() == good
    for row in (0, len(good) // 2, len(good) - 1):
        seed = next(seed for seed, study in enumerate(listed) if str(study.number) == good[row])
        assert np.abs(store.millivolts([row])[0] - resample(heart(seed, 500.0), 500.0, 100.0)).max() < 0.004
    assert store.leads == LEADS


def test_every_broken_record_is_named_and_every_good_one_stored(tmp_path):
    check(tmp_path / "db", tmp_path / "store", 26 * 11, workers=1)


@pytest.mark.slow
def test_thousands_of_records_on_two_processes(tmp_path):
    check(tmp_path / "db", tmp_path / "store", 4000, workers=2)


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_damage_has_a_reason_that_tells_no_patient(tmp_path, kind):
    root = tmp_path / "db"
    sound, hurt, *_ = studies(2)
    write_mimic(root, [sound, hurt])
    DAMAGE[kind](root / hurt.path)
    prepare_store(MimicIvEcg(str(root)), tmp_path / "store", SETTINGS)
    line = json.loads((tmp_path / "store/quarantine.jsonl").read_text())
    assert line["record"] == str(hurt.number)
    assert line["path"] == f"files/pNNNN/pSUBJECT/s{hurt.number}/{hurt.number}"
    assert str(hurt.subject) not in json.dumps(line)


def test_one_lost_lead_is_named_and_the_record_kept(tmp_path):
    # 1.5 % of the database have NaN or a flat lead.
    flat, gap, sound = (heart(seed, 500.0) for seed in (1, 2, 3))
    flat[8] = 0.0
    gap[7, 1000:1400] = np.nan
    listed = [Study(n, 10_000_032, signal=signal) for n, signal in ((41, flat), (42, gap), (43, sound))]
    prepare_store(MimicIvEcg(str(write_mimic(tmp_path / "db", listed))), tmp_path / "store", SETTINGS)
    store = open_store(tmp_path / "store")
    assert [list(leads) for leads in store.index["missing_leads"]] == [["V3"], ["V2"], []]
    assert "flat:V3" in store.index["flags"][0] and "nan:V2" in store.index["flags"][1]


def test_no_patient_s_number_gets_into_a_store(tmp_path):
    listed = studies(12)
    root = write_mimic(tmp_path / "db", listed)
    prepare_store(MimicIvEcg(str(root)), tmp_path / "store", SETTINGS)
    index = open_store(tmp_path / "store").index
    text = index.to_csv() + (tmp_path / "store/manifest.json").read_text()
    assert not any(str(study.subject) in text for study in listed)
    assert index["patient"].nunique() == 4


def test_all_of_a_patient_s_ecgs_are_in_one_split(tmp_path):
    root = write_mimic(tmp_path / "db", studies(90, of_each=5))
    prepare_store(MimicIvEcg(str(root)), tmp_path / "store", SETTINGS)
    index = open_store(tmp_path / "store").index
    assert index.groupby("patient")["split"].nunique().max() == 1
    assert index["split"].nunique() > 1
