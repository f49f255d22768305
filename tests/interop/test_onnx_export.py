"""A model in ONNX computes what it does in PyTorch: any number of rows, any length, whatever the padding; or is not written."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import cmelt as cmelt_api
from cmelt.checkpoints.inference import load_towers
from cmelt.errors import CheckpointError, ConfigError
from cmelt.interop import export_onnx, import_dbeta
from cmelt.interop import onnx as writing
from cmelt.interop.onnx_agreement import Agreement, agreement, by_the_towers, ecg_feeds, text_feeds
from cmelt.interop.onnx_graphs import EcgGraph, PlainPositions, TextGraph, _bias_by_distance
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.model.positions import PositionalConvolution
from cmelt.model.t5_encoder import T5Sizes, position_buckets
from cmelt.pages.notice import NOTICE
from cmelt.publishing import verify
from cmelt.records.record import LEADS
from cmelt.text.pieces import AbsentTokenizer
from dbeta_release import WITH_WORDS, write_random
from running import cmelt
from trained_towers import BERT, saved_model, tiny_model

pytest.importorskip("onnx", reason="the extra onnx")
runtime = pytest.importorskip("onnxruntime", reason="the extra onnx")

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A tiny model of the paper's construction, its export, and what the command said."""
    folder = tmp_path_factory.mktemp("onnx")
    model = saved_model(folder / "model")
    done = cmelt("export", "--onnx", model, "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    return model, folder / "out", done


@pytest.fixture(scope="module")
def towers(exported):
    return load_towers(exported[0]).towers


def run(folder: Path, name: str, **inputs: np.ndarray) -> np.ndarray:
    session = runtime.InferenceSession(str(folder / name), providers=["CPUExecutionProvider"])
    return session.run(["embeddings"], inputs)[0]


def ecgs(rows: int, samples: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.5, (rows, 12, samples)).astype(np.float32)


def pieces(rows: int, length: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(5, 300, (rows, length))


@torch.no_grad()
def by_pytorch(towers, ecg: np.ndarray) -> np.ndarray:
    return F.normalize(towers.embed_ecg(torch.from_numpy(ecg)), dim=1).numpy()


@pytest.mark.parametrize(("rows", "samples"), [(1, 1000), (3, 1000), (2, 437), (1, 2600), (2, 32)])
def test_ecgs_of_any_number_and_length_embed_as_in_pytorch(exported, towers, rows, samples):
    ecg = ecgs(rows, samples)
    found = run(exported[1], "ecg.onnx", ecg=ecg)
    np.testing.assert_allclose(found, by_pytorch(towers, ecg), atol=TOLERANCE)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (3, 9), (2, 200)])
def test_texts_of_any_number_and_length_embed_as_in_pytorch(exported, towers, rows, length):
    ids = pieces(rows, length)
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    np.testing.assert_allclose(run(exported[1], "text.onnx", **feed), by_the_towers(towers, feed), atol=TOLERANCE)


def test_a_text_s_embedding_depends_neither_on_padding_nor_on_neighbours(exported):
    ids = pieces(3, 12)
    mask = (np.arange(12) < np.array([[4], [12], [7]])).astype(np.int64)
    together = run(exported[1], "text.onnx", input_ids=ids, attention_mask=mask)
    for row, length in enumerate((4, 12, 7)):
        one = ids[row : row + 1, :length]
        alone = run(exported[1], "text.onnx", input_ids=one, attention_mask=np.ones_like(one))
        np.testing.assert_allclose(together[row], alone[0], atol=1e-5)


def test_the_folder_says_what_goes_in(exported):
    model, folder, done = exported
    facts = json.loads((folder / "model.json").read_text())
    assert facts["notice"] == NOTICE
    assert facts["ecg"] == {"leads": list(LEADS), "rate": 100.0, "samples": 1000, "unit": "mV", "absent_lead": 0.0}
    assert facts["weights_sha256"] == load_towers(model).identity
    assert facts["scoring"]["negative_weight"] == 1.0 and facts["scoring"]["aligned"]
    assert facts["text"]["max_tokens"] == 24 and facts["text"]["pad_id"] == 0
    assert (folder / "tokenizer.json").read_bytes() == (model / "tokenizer.json").read_bytes()
    sealed = verify(folder)["files"]
    for name in ("ecg.onnx", "text.onnx"):
        assert facts["files"][name]["sha256"] == sealed[name]["sha256"]
        assert facts["files"][name]["difference"] <= TOLERANCE
    assert done.stdout.strip() == str(folder)
    assert "ecg.onnx: components within" in done.stderr and "text.onnx: components within" in done.stderr


def test_a_file_tells_its_weights_and_no_path_of_who_wrote_it(exported):
    import onnx

    for name in ("ecg.onnx", "text.onnx"):
        path = exported[1] / name
        properties = {one.key: one.value for one in onnx.load(str(path)).metadata_props}
        assert properties == {"notice": NOTICE, "weights_sha256": load_towers(exported[0]).identity}
        assert b".py" not in path.read_bytes()


def test_files_need_no_operator_that_a_plain_runtime_lacks(exported):
    import onnx

    for name in ("ecg.onnx", "text.onnx"):
        model = onnx.load(str(exported[1] / name))
        assert {(one.domain, one.version) for one in model.opset_import} == {("", writing.OPSET)}
        assert not {"DFT", "STFT", "If", "Loop"} & {node.op_type for node in model.graph.node}


@pytest.mark.parametrize(("kernel", "length"), [(8, 40), (8, 3), (7, 40), (16, 61)])
def test_positions_by_a_plain_convolution_are_those_by_spectra(kernel, length):
    torch.manual_seed(1)
    spectral = PositionalConvolution(8, kernel, 2)
    spectral.reset_parameters()
    torch.nn.init.normal_(spectral.bias)
    tokens = torch.randn(2, length, 8)
    expected = spectral(tokens, None, length)
    torch.testing.assert_close(PlainPositions(spectral)(tokens, None, length), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("furthest", [20, 128])
def test_t5_s_bias_by_distance_is_that_by_buckets_beyond_the_greatest_distance_too(furthest):
    sizes = T5Sizes(relative_attention_num_buckets=16, relative_attention_max_distance=furthest, num_heads=3)
    table = torch.randn(16, 3)
    length = furthest + 40
    rows, greatest = _bias_by_distance(table, sizes)
    place = torch.arange(length)
    distance = (place[None] - place[:, None]).clamp(-greatest, greatest)
    assert torch.equal(rows[distance + greatest], table[position_buckets(length, sizes)])


@pytest.mark.parametrize("stem", [{"stem": "residual", "stem_kernel": 7}, {"stem": "resnet1d", "stem_kernel": 5}])
@torch.no_grad()
def test_graphs_of_other_front_ends_compute_what_the_towers_do(stem):
    settings = tiny_model().settings
    ecg = replace(settings.ecg, **stem, pooling="mean", amplitude=True, masking="signal")
    model = CMeltModel(CMeltConfig.of(replace(settings, ecg=ecg))).eval()
    before = by_pytorch(model, ecgs(2, 1000))
    np.testing.assert_allclose(EcgGraph(model)(torch.from_numpy(ecgs(2, 1000))).numpy(), before, atol=1e-5)
    assert isinstance(model.ecg_encoder.positions, PositionalConvolution), "the towers stay as they are"


@torch.no_grad()
def test_the_graph_of_texts_computes_what_the_tower_does(towers):
    ids = torch.from_numpy(pieces(2, 150))
    mask = (torch.arange(150) < torch.tensor([[150], [9]])).long()
    expected = F.normalize(towers.embed_text(ids, mask.bool()), dim=1)
    torch.testing.assert_close(TextGraph(towers)(ids, mask), expected, atol=1e-5, rtol=1e-5)


def test_agreement_is_of_components_and_of_directions():
    found = agreement([np.array([[1.0, 0.0]])], [np.array([[0.6, 0.8]])])
    assert (found.difference, found.cosine, found.vectors) == (pytest.approx(0.8), pytest.approx(0.6), 1)
    assert np.isnan(agreement([np.array([[np.nan, 0.0]])], [np.array([[1.0, 0.0]])]).difference)


def test_the_check_sees_one_row_several_and_other_lengths(towers):
    settings = towers.settings
    shapes = [feed["ecg"].shape for feed in ecg_feeds(settings.ecg)]
    assert shapes == [(1, 12, 1000), (3, 12, 1000), (2, 12, 500), (1, 12, 1500)]
    for tokenizer in (AbsentTokenizer("no words"), load_towers("small").tokenizer):
        masks = [feed["attention_mask"] for feed in text_feeds(settings.text, tokenizer)]
        assert {len(mask) for mask in masks} >= {1, 3} and any((mask == 0).any() for mask in masks)


@pytest.mark.parametrize("wrong", [Agreement(2e-4, 1.0, 3), Agreement(float("nan"), float("nan"), 3)])
def test_nothing_is_published_that_computes_something_else(tmp_path, monkeypatch, wrong):
    monkeypatch.setattr(writing, "_written", lambda tower, graph, feeds, folder, *_: [folder / f"{tower}.onnx"])
    monkeypatch.setattr(writing, "by_onnx_runtime", lambda path, feeds: [])
    monkeypatch.setattr(writing, "agreement", lambda found, expected: wrong)
    model = saved_model(tmp_path / "model")
    with pytest.raises(CheckpointError, match=r"ecg\.onnx: ONNX Runtime's vectors differ"):
        export_onnx(model, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_int8_is_refused_where_directions_are_lost():
    with pytest.raises(CheckpointError, match=r"cosine to the model's is 0\.8"):
        writing._agreeing(Path("ecg.int8.onnx"), Agreement(0.01, 0.8, 3))
    assert writing._agreeing(Path("ecg.int8.onnx"), Agreement(0.01, 0.95, 3)).cosine == 0.95


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "find_spec", lambda name: None if name == "onnxruntime" else util.find_spec(name))
    with pytest.raises(ConfigError, match=r'onnxruntime not installed \(pip install "cmelt\[onnx\]"\)'):
        export_onnx("small", tmp_path / "out")


def test_what_exists_is_not_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(CheckpointError, match="exists already"):
        export_onnx("small", tmp_path / "out")


def test_one_form_is_named_and_int8_is_for_onnx_alone(tmp_path):
    for arguments in ((), ("--onnx", "--dbeta"), ("--dbeta", "--int8")):
        done = cmelt("export", "small", "--out", tmp_path / "x", *arguments)
        assert done.returncode == 2
        assert "--onnx" in done.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_the_bundled_model_and_its_int8_files(tmp_path):
    found = export_onnx("small", tmp_path / "out", int8=True)
    assert max(found[name].difference for name in ("ecg.onnx", "text.onnx")) < 1e-5
    assert min(found[name].cosine for name in ("ecg.int8.onnx", "text.int8.onnx")) > 0.99
    size = {path.name: path.stat().st_size for path in (tmp_path / "out").iterdir()}
    assert size["ecg.int8.onnx"] < 0.6 * size["ecg.onnx"] and size["text.int8.onnx"] < 0.3 * size["text.onnx"]


@pytest.mark.slow
def test_the_authors_small_example_keeps_its_lead_order_and_needs_no_tokenizer(data_dir, tmp_path):
    parity = data_dir.parent / "parity"
    if not parity.exists():
        pytest.skip(f"no checkpoint of the release at {parity}")
    known = json.loads((parity / "expected.json").read_text())
    import_dbeta(parity / "checkpoint.pt", tmp_path / "model", {key: known[key] for key in ("model", "t5")})
    found = export_onnx(tmp_path / "model", tmp_path / "out")
    assert max(one.difference for one in found.values()) < 1e-5
    facts = json.loads((tmp_path / "out" / "model.json").read_text())
    assert facts["ecg"]["leads"][3:6] == ["aVR", "aVF", "aVL"]
    assert facts["ecg"]["samples"] == 5000 and facts["text"]["tokenizer"] is False
    assert not (tmp_path / "out" / "tokenizer.json").exists()


@pytest.mark.slow
def test_a_random_checkpoint_of_other_sizes(tmp_path):
    path, _ = write_random(tmp_path / "theirs", WITH_WORDS)
    import_dbeta(path, tmp_path / "model", WITH_WORDS)
    assert max(one.difference for one in export_onnx(tmp_path / "model", tmp_path / "out").values()) < TOLERANCE


@pytest.mark.slow
def test_a_text_encoder_of_transformers_own(tmp_path):
    model = saved_model(tmp_path / "model", tiny_model(BERT))
    assert export_onnx(model, tmp_path / "out")["text.onnx"].difference < TOLERANCE
    assert (tmp_path / "out" / "tokenizer.json").is_file()


@pytest.mark.slow
def test_the_code_of_the_page_runs_and_scores_as_the_model_does(tmp_path, monkeypatch):
    page = (Path(__file__).resolve().parents[2] / "docs/export.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    export_onnx("small", "small-onnx")
    known = {"millivolts": ecgs(1, 1000)[0]}
    exec(compile(block, "docs/export.md", "exec"), known)
    model, processor = cmelt_api.load("small")
    ecg = by_pytorch(model, known["millivolts"][None])
    texts = cmelt_api.embed_texts(model, processor, ["atrial fibrillation.", "normal ecg."])
    expected = (ecg @ texts.T)[0]
    assert known["score"] == pytest.approx(expected[0] - processor.negative_weight * expected[1], abs=1e-4)
