"""The model that comes with the package: small, whole, measured, and of use on real ECGs with many leads and with few."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import cmelt
from cmelt.checkpoints.finding import BUNDLED, bundled_models
from cmelt.checkpoints.inference import load_towers
from cmelt.errors import CheckpointError
from cmelt.publishing import verify
from cmelt.records.leads import select_leads

LARGEST = 20_000_000
NORMAL_CODES, OTHERS = ("'NORM': 100", "'NORM': 80"), ("MI", "CLBBB", "CRBBB", "AFIB", "LVH")

if not bundled_models():
    pytest.skip("no model is bundled in this checkout", allow_module_level=True)


@pytest.fixture(scope="module", params=bundled_models())
def name(request):
    return request.param


def test_it_is_whole_and_small_and_says_what_it_has_seen(name):
    folder = BUNDLED / name
    manifest = verify(folder, CheckpointError)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= LARGEST
    assert manifest["precision"] == "float16" and manifest["sources"] and manifest["training"]
    assert "training_fingerprints.npy" in manifest["files"]
    assert load_towers(name).aligned


def test_its_card_has_figures_uses_and_licences(name):
    card = (BUNDLED / name / "README.md").read_text(encoding="utf-8")
    for words in ("Not a medical device", "must not be used for", "CC BY 4.0", "zero-shot", "sex: female", "age: 70 and over"):
        assert words.lower() in card.lower(), words
    assert "Not measured yet" not in card


@pytest.fixture(scope="module")
def unseen(data_dir: Path) -> tuple[list[cmelt.Record], np.ndarray]:
    """Real records of the test fold, and whether each is a normal one; others have a plain abnormality."""
    with (data_dir / "ptb-xl" / "ptbxl_database.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["strat_fold"] == "10"]
    records, normal = [], []
    for row in rows:
        path = data_dir / "ptb-xl" / f"{row['filename_lr']}.hea"
        is_normal = any(code in row["scp_codes"] for code in NORMAL_CODES)
        if path.is_file() and (is_normal or any(code in row["scp_codes"] for code in OTHERS)):
            records.append(cmelt.read_ecg(path))
            normal.append(is_normal)
    return records, np.array(normal)


@pytest.mark.slow
@pytest.mark.parametrize(("leads", "least"), [(None, 0.85), (("I", "II"), 0.7), (("I",), 0.6)])
def test_it_tells_normal_from_abnormal_with_many_leads_and_with_few(name, unseen, leads, least):
    records, normal = unseen
    model, processor = cmelt.load(name, device="cpu")
    shown = records if leads is None else [select_leads(record, leads) for record in records]
    found = cmelt.classify(model, processor, shown, ["normal-ecg"])
    assert roc_auc_score(normal, found.values[:, 0]) > least
