"""The authors' file is read as tensors alone, every one of them accounted for; anything else is refused with its reason."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import torch

from cmelt.errors import CheckpointError
from cmelt.interop import load_dbeta
from cmelt.interop.dbeta_file import read_checkpoint, write_checkpoint
from dbeta_release import VARIANTS, WITH_WORDS, write_random

SIZES = VARIANTS["other kernels and strides, the decoder behind the last layer"]


@pytest.fixture
def written(tmp_path):
    return write_random(tmp_path / "theirs", SIZES)


def changed(path: Path, change) -> Path:
    state = torch.load(path, weights_only=True)["model"]
    change(state)
    torch.save({"model": state}, path)
    return path


def test_all_tensors_that_do_not_fit_are_named_not_the_first_alone(written):
    def change(state):
        del state["mlm_head.bias"], state["class_embedding"]
        state["itm_head.fc.weight"] = torch.zeros(2, 5)
        state["itm_head.fc.bias"] = torch.zeros(2, dtype=torch.float16)
        state["multi_modal_ecg_proj.bias"][3] = float("nan")
        state["sep_embedding"] = torch.zeros(4)
        state["ecg_encoder.encoder.layers.2.fc1.bias"] = torch.zeros(16)

    with pytest.raises(CheckpointError) as caught:
        load_dbeta(changed(written[0], change), SIZES)
    for line in (
        "missing: mlm_head.bias [60]",
        "missing: class_embedding [16]",
        "another shape: itm_head.fc.weight is [2, 5], the sizes say [2, 32]",
        "another type: itm_head.fc.bias is float16",
        "not finite: multi_modal_ecg_proj.bias",
        "unknown: sep_embedding [4]",
        "unknown: ecg_encoder.encoder.layers.2.fc1.bias [16]",
    ):
        assert line in str(caught.value)
    assert "7 of its tensors do not fit" in str(caught.value)


def test_a_checkpoint_of_other_sizes_than_stated_is_refused_by_what_differs(written):
    with pytest.raises(CheckpointError) as caught:
        load_dbeta(written[0], WITH_WORDS)
    assert "another shape: mlm_head.bias is [60], the sizes say [400]" in str(caught.value)
    with pytest.raises(CheckpointError, match=r"class_embedding is \[16\], the sizes say \[768\]"):
        load_dbeta(written[0])


def test_the_vector_that_the_release_drops_is_dropped(written):
    path, state = written
    changed(path, lambda s: s.update({"ecg_encoder.mask_emb": torch.full((16,), float("nan"))}))
    model = load_dbeta(path, SIZES)
    assert torch.equal(model.ecg_encoder.class_token, state["class_embedding"])


def test_the_word_embeddings_are_one_tensor_and_two_that_differ_are_refused(written):
    path, state = written
    model = load_dbeta(path, SIZES)
    assert len([name for name, part in model.named_parameters() if part.shape == (60, 16) and "text_encoder" in name]) == 1
    assert torch.equal(model.text_encoder.shared.weight, state["language_encoder.shared.weight"])
    apart = state["language_encoder.shared.weight"].clone()
    changed(path, lambda s: s.update({"language_encoder.encoder.embed_tokens.weight": apart}))
    load_dbeta(path, SIZES)  # written twice, but the same
    changed(path, lambda s: s["language_encoder.shared.weight"].add_(1))
    with pytest.raises(CheckpointError, match=r"shared\.weight and .*embed_tokens\.weight differ"):
        load_dbeta(path, SIZES)


def test_what_lies_beside_the_tensors_is_passed_over_and_older_files_are_read(written):
    path, state = written
    torch.save({"model": state, "step": 3, "rate": [0.1]}, path, _use_new_zipfile_serialization=False)
    again = read_checkpoint(path)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)


def test_a_file_cut_short_is_said_to_be(written):
    path, _ = written
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 100):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="cut short"):
            load_dbeta(path, SIZES)


class _Runs:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_with_code_in_it_is_refused_and_the_code_not_run(written, tmp_path, zipped):
    path, state = written
    mark = tmp_path / "ran"
    torch.save({"model": state, "extra": _Runs(mark)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="no file of plain tensors") as caught:
        load_dbeta(path, SIZES)
    assert "has not been run" in str(caught.value)
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists()  # it would have run


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), io.BytesIO())


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path.write_bytes(b""), "no file of plain tensors"),
        (lambda path: path.write_text("a page that says 404\n"), "no file of plain tensors"),
        (lambda path: path.write_bytes(bytes(range(256)) * 9), "no file of plain tensors"),
        (_tar, "no file of plain tensors"),
        (lambda path: torch.save({"state_dict": {"a": torch.zeros(1)}}, path), 'holds no "model"'),
        (lambda path: torch.save({"class_embedding": torch.zeros(1)}, path), 'holds no "model"'),
        (lambda path: torch.save(torch.zeros(3), path), 'holds no "model"'),
        (lambda path: torch.save({"model": {}}, path), 'holds no "model"'),
        (lambda path: torch.save({"model": {"a": torch.zeros(1), "b": 3, "c": "d"}}, path), "more than tensors: b, c"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: None, "no such file"),
    ],
)
def test_what_is_no_checkpoint_of_theirs_is_said_to_be_none(tmp_path, write, said):
    write(tmp_path / "sample.pt")
    with pytest.raises(CheckpointError, match=said):
        load_dbeta(tmp_path / "sample.pt")


def test_a_file_that_exists_is_not_written_over_and_none_is_left_half_written(written, tmp_path, monkeypatch):
    path, state = written
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="exists already"):
        write_checkpoint(state, path)
    assert path.read_bytes() == before

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        write_checkpoint(state, tmp_path / "out" / "sample.pt")
    assert not list((tmp_path / "out").iterdir())
