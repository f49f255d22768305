"""A report's vector depends on the report alone."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import ConfigError
from cmelt.negatives import build_table, draw, embed_distinct, hf_encoder, lsa_encoder
from cmelt.text import train_tokenizer

REPORTS = [
    "sinus rhythm. normal ecg",
    "normal sinus rhythm",
    "atrial fibrillation. left bundle branch block",
    "left bundle branch block. st segments are depressed in i, avl, v5,6. t waves are inverted in these leads",
    "vorhofflimmern linksschenkelblock",
    "sinusrhythmus lagetyp normal",
]


class CountingEncoder:
    """Counts its calls; a report's vector says how long the report is and how many words it has."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.batches.append(texts)
        return np.array([[len(text), len(text.split()), 1.0] for text in texts])


def test_vectors_are_unit_vectors_in_the_order_of_the_reports() -> None:
    encoder = CountingEncoder()
    vectors = embed_distinct(REPORTS, encoder, batch=4)
    assert vectors.shape == (6, 3)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    for report, vector in zip(REPORTS, vectors, strict=True):
        np.testing.assert_allclose(vector[0] / vector[2], len(report), rtol=1e-5)


def test_reports_of_similar_length_are_embedded_together_and_progress_is_told() -> None:
    encoder, told = CountingEncoder(), []
    embed_distinct(REPORTS, encoder, batch=4, progress=lambda done, total: told.append((done, total)))
    lengths = [len(text) for texts in encoder.batches for text in texts]
    assert lengths == sorted(lengths)
    assert told == [(4, 6), (6, 6)]


def test_fault_5_reports_are_embedded_once_in_batches_and_a_step_only_looks_up() -> None:
    encoder = CountingEncoder()
    reports = [f"{word} " * (1 + number % 7) + str(number) for number in range(100) for word in ("sinus", "rhythm")]
    table = build_table(embed_distinct(reports, encoder, batch=64), candidates=64)
    assert len(encoder.batches) == 4  # ceil(200 / 64), not 200
    groups, rng = np.arange(64), np.random.default_rng(0)
    times = []
    for _ in range(200):
        start = time.perf_counter()
        draw(table, groups, rng)
        times.append(time.perf_counter() - start)
    assert len(encoder.batches) == 4
    assert np.median(times) < 1e-3  # 64 negatives of a batch of 128


def test_an_encoder_that_gives_nonsense_is_refused() -> None:
    for nonsense in (np.zeros((1, 3)), np.full((6, 3), np.nan), np.zeros(6)):
        with pytest.raises(ConfigError, match=r"(?s)text encoder of N3S.*6 reports.*choose another encoder"):
            embed_distinct(REPORTS, lambda texts, nonsense=nonsense: nonsense, batch=6)
    with pytest.raises(ConfigError, match=r"(?s)reports: .*no report.*prepare a source"):
        embed_distinct([], CountingEncoder())


def test_64_reports_are_embedded_at_once_where_nothing_else_is_asked_for() -> None:
    encoder = CountingEncoder()
    embed_distinct(["sinus" + "!" * number for number in range(65)], encoder)
    assert [len(texts) for texts in encoder.batches] == [64, 1]


def test_a_report_is_shorter_than_a_unit_before_it_is_one() -> None:
    vectors = embed_distinct(["a", "b"], lambda texts: np.array([[0.3, -0.4], [0.0, 0.0]]))
    np.testing.assert_allclose(vectors, [[0.6, -0.8], [0.0, 0.0]], atol=1e-7)


def test_lsa_has_128_directions_where_the_reports_have_as_many_words() -> None:
    reports = [f"word{number} other{number % 7}" for number in range(200)]
    assert lsa_encoder(reports)(reports[:1]).shape == (1, 128)


def test_lsa_puts_reports_that_share_findings_nearer() -> None:
    vectors = embed_distinct(REPORTS, lsa_encoder(REPORTS, dims=5))
    similarity = vectors @ vectors.T
    assert similarity[0, 1] > similarity[0, 2]
    assert similarity[2, 3] > similarity[2, 5]


def test_lsa_is_the_same_for_the_same_seed_and_fits_few_words() -> None:
    one, other = (lsa_encoder(REPORTS, dims=4, seed=1)(REPORTS) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert lsa_encoder(["sinus rhythm", "normal"], dims=128)(["sinus"]).shape[1] <= 2
    assert not embed_distinct(["zzz"], lsa_encoder(REPORTS)).any()  # not a word known: no direction, no NaN
    with pytest.raises(ConfigError, match=r"(?s)reports: .*not a word.*prepare a source"):
        lsa_encoder(["", "."])


def test_lsa_knows_single_letters_the_order_of_words_and_how_often_a_word_is_said() -> None:
    reports = ["t wave flat", "i wave flat", "flat t wave", "wave wave wave wave t", "wave t"]
    letters = embed_distinct(["t", "i"], lsa_encoder(reports))
    np.testing.assert_allclose(np.linalg.norm(letters, axis=1), 1, atol=1e-6)
    assert letters[0] @ letters[1] < 0.9
    ordered = embed_distinct(["t wave", "wave t"], lsa_encoder(reports))
    assert ordered[0] @ ordered[1] < 0.99  # pairs of words count
    # Of five reports the directions are exact: four times "wave" weighs 1 + ln 4 times its rarity, not 4 times.
    vectors = lsa_encoder(["wave wave wave wave t", "wave t"], dims=9)(["wave wave wave wave t"])
    words = np.array([1 + np.log(4), 1, 1 + np.log(3), 1]) * (1 + np.log(3 / np.array([3, 3, 2, 3])))
    exact = np.array([1, 1, 0, 1]) * (1 + np.log(3 / np.array([3, 3, 2, 3])))
    one, other = words / np.linalg.norm(words), exact / np.linalg.norm(exact)
    assert vectors[0] @ lsa_encoder(["wave wave wave wave t", "wave t"], dims=9)(["wave t"])[0] == pytest.approx(
        one @ other, abs=1e-5
    )
    assert vectors.shape == (1, 2) and vectors.dtype == np.float32


@pytest.fixture(scope="module")
def text_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A BERT and a whole Flan-T5-like encoder-decoder, tiny and untrained, saved as from a hub."""
    import torch
    from transformers import BertConfig, BertModel, T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    tokenizer = train_tokenizer(REPORTS * 3, 300)
    sizes = {"vocab_size": len(tokenizer), "pad_token_id": 0}
    bert = BertModel(BertConfig(**sizes, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64))
    t5 = T5ForConditionalGeneration(
        T5Config(
            **sizes,
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            decoder_start_token_id=0,
        )
    )
    # Untrained, T5's embeddings are so large that every report looks the same.
    torch.nn.init.normal_(t5.shared.weight, std=0.1)
    folders = {}
    for name, model in (("bert", bert), ("t5", t5)):
        folders[name] = tmp_path_factory.mktemp(name)
        model.save_pretrained(folders[name])
        tokenizer.save_pretrained(folders[name])
    return folders


@pytest.mark.parametrize("name", ["bert", "t5"])
def test_fault_3_a_report_embeds_the_same_beside_a_longer_one(name: str, text_models: dict[str, Path]) -> None:
    encode = hf_encoder(text_models[name])
    short = REPORTS[1]
    alone = encode([short])[0]
    beside = encode([short, REPORTS[3] * 3])[0]
    np.testing.assert_allclose(beside, alone, atol=2e-6 * np.abs(alone).max() + 1e-6)
    assert np.abs(encode([REPORTS[3]])[0] - alone).max() > 1e-3  # and it is not the same for every report


@pytest.mark.parametrize("name", ["bert", "t5"])
def test_order_and_batches_do_not_change_the_vectors(name: str, text_models: dict[str, Path]) -> None:
    encode = hf_encoder(text_models[name])
    one, other = (embed_distinct(REPORTS, encode, batch=batch) for batch in (1, 6))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_mean_is_over_the_reports_own_tokens(text_models: dict[str, Path]) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(text_models["bert"]).eval(), AutoTokenizer.from_pretrained(text_models["bert"])
    with torch.no_grad():
        states = model(**tokenizer([REPORTS[1]], return_tensors="pt")).last_hidden_state[0].double().numpy()
    np.testing.assert_allclose(hf_encoder(text_models["bert"])([REPORTS[1], REPORTS[3]])[0], states.mean(axis=0), atol=1e-5)


def test_no_more_than_256_pieces_of_a_report_are_read(text_models: dict[str, Path]) -> None:
    import torch

    shapes = []
    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, given: shapes.append(tuple(given[0].shape)) if isinstance(module, torch.nn.Embedding) else None
    )
    try:
        hf_encoder(text_models["bert"])([" ".join(REPORTS * 30)])
        assert (1, 256) in shapes and max(shape[-1] for shape in shapes) == 256
        shapes.clear()
        hf_encoder(text_models["bert"], max_tokens=20)([" ".join(REPORTS * 30)])
        assert max(shape[-1] for shape in shapes) == 20
    finally:
        handle.remove()


@pytest.mark.parametrize(("there_is_a_gpu", "expected"), [(True, "cuda"), (False, "cpu")])
def test_an_encoder_runs_on_a_gpu_where_there_is_one_and_where_the_caller_says(
    there_is_a_gpu: bool, expected: str, text_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    moved = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: there_is_a_gpu)
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, *where, **_: (moved.append(*where), module)[1])
    for device in (None, "cpu:0"):
        hf_encoder(text_models["bert"], device=device)
    assert moved == [expected, "cpu:0"]


def test_code_that_comes_with_an_encoder_is_not_run(text_models: dict[str, Path], tmp_path: Path) -> None:
    """A folder may name classes of its own for its configuration and its model; the library's are taken."""
    folder, canary = Path(shutil.copytree(text_models["bert"], tmp_path / "bert")), tmp_path / "was-here"
    (folder / "own.py").write_text(f"open({str(canary)!r}, 'w')\nfrom transformers import BertConfig as C, BertModel as M\n")
    config = json.loads((folder / "config.json").read_text()) | {"auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    np.testing.assert_array_equal(hf_encoder(folder)(REPORTS), hf_encoder(text_models["bert"])(REPORTS))
    assert not canary.exists()


def test_an_encoder_that_cannot_be_had_names_the_way_without_one(tmp_path: Path) -> None:
    train_tokenizer(REPORTS, 300).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=rf'(?s){tmp_path}.*no text encoder can be loaded.*Error\).*set the encoder to "lsa"'):
        hf_encoder(tmp_path)
