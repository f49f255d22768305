"""A reader sees a whole folder or none of it, and an altered one is found."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

import cmelt.publishing
from cmelt.errors import CheckpointError, CMeltError
from cmelt.publishing import MANIFEST, published, remove_leftovers, rename, verify
from tiny_runs import apart


def make(target: Path, content: str = "new", **options) -> None:
    with published(target, {"kind": "test", "step": 12}, **options) as staging:
        (staging / "a.txt").write_text(content)
        (staging / "deep").mkdir()
        (staging / "deep" / "b.bin").write_bytes(b"\0\1\2")


def test_what_is_published_is_whole_and_says_what_it_is(tmp_path):
    make(tmp_path / "x")
    manifest = verify(tmp_path / "x")
    assert (manifest["kind"], manifest["step"]) == ("test", 12)
    assert manifest["files"].keys() == {"a.txt", "deep/b.bin"}
    assert manifest["files"]["deep/b.bin"]["bytes"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_block_that_fails_leaves_nothing_and_the_old_one_in_place(tmp_path):
    make(tmp_path / "x", "old")

    def fail(name: str, stop: type[BaseException]) -> None:
        with published(tmp_path / name, replace=True) as staging:
            (staging / "a.txt").write_text("half")
            raise stop

    for stop in (ValueError, KeyboardInterrupt):
        for name in ("x", "y"):
            with pytest.raises(stop):
                fail(name, stop)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x" / "a.txt").read_text() == "old"
    verify(tmp_path / "x")


def test_what_exists_gives_way_only_when_asked(tmp_path):
    make(tmp_path / "x", "old")
    with pytest.raises(CMeltError, match="exists already"):
        make(tmp_path / "x")
    assert (tmp_path / "x" / "a.txt").read_text() == "old"
    make(tmp_path / "x", replace=True)
    assert (tmp_path / "x" / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_without_an_exchange_of_names_the_old_one_still_gives_way(tmp_path, monkeypatch):
    monkeypatch.setattr(cmelt.publishing, "_exchange", lambda a, b: False)
    make(tmp_path / "x", "old")
    make(tmp_path / "x", replace=True)
    assert (tmp_path / "x" / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("file", ["a.txt", "deep/b.bin", MANIFEST])
def test_every_flipped_byte_and_every_cut_is_found(file, tmp_path):
    make(tmp_path / "x")
    path = tmp_path / "x" / file
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(CheckpointError) as error:
            verify(tmp_path / "x", CheckpointError)
        assert str(tmp_path / "x") in str(error.value)
    for length in (0, 1, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            verify(tmp_path / "x", CheckpointError)
    path.unlink()
    with pytest.raises(CheckpointError, match="missing"):
        verify(tmp_path / "x", CheckpointError)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"files": 3}', '{"files": {"a.txt": 1}}', '{"files": {"a.txt": {"bytes": "x"}}}']
)
def test_a_manifest_that_is_none_is_refused(content, tmp_path):
    make(tmp_path / "x")
    (tmp_path / "x" / MANIFEST).write_text(content)
    with pytest.raises(CMeltError, match="not a manifest"):
        verify(tmp_path / "x")


def test_a_manifest_may_not_lead_outside_its_folder(tmp_path):
    (tmp_path / "secret").write_text("s")
    with published(tmp_path / "x") as staging:
        (staging / "a.txt").write_text("a")
    manifest = json.loads((tmp_path / "x" / MANIFEST).read_text())
    manifest["files"] = {"../secret": {"bytes": 1, "sha256": "0"}}
    manifest.pop("sha256", None)
    (tmp_path / "x" / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(CMeltError):
        verify(tmp_path / "x")


def killed_while_publishing(target: str, moment: str) -> None:
    """Replace a folder and be killed just before `moment` of the publishing."""

    def die(*_, **__) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(cmelt.publishing, moment, die)
    make(Path(target), replace=True)


@pytest.mark.parametrize("moment", ["seal", "sha256", "sync", "rename", "_exchange"])
def test_killed_at_any_moment_the_old_folder_stands_whole(moment, tmp_path):
    make(tmp_path / "x", "old")
    process = apart(killed_while_publishing, str(tmp_path / "x"), moment)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    verify(tmp_path / "x")
    assert (tmp_path / "x" / "a.txt").read_text() == "old"
    assert remove_leftovers(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_leftovers_are_counted_and_nothing_else_is_touched(tmp_path):
    make(tmp_path / "x")
    (tmp_path / ".staging-x-1").mkdir()
    (tmp_path / ".staging-x-1" / "half").write_text("")
    (tmp_path / ".other").mkdir()
    assert remove_leftovers(tmp_path) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"x", ".other"}
    assert remove_leftovers(tmp_path / "nowhere") == 0


def test_renaming_alone_refuses_to_overwrite(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(CMeltError, match="exists already"):
        rename(tmp_path / "a", tmp_path / "b")


def in_a_hub_s_cache(folder: Path, blobs: Path) -> Path:
    """A published folder as a hub's cache keeps one: its files are links to contents that lie elsewhere."""
    snapshot = folder / "snapshots" / "3f2a"
    make(snapshot)
    blobs.mkdir(parents=True)
    for number, path in enumerate(sorted(path for path in snapshot.rglob("*") if path.is_file())):
        content = path.rename(blobs / str(number))
        path.symlink_to(content)
    return snapshot


def test_a_folder_in_a_hub_s_cache_is_whole_though_its_files_are_links(tmp_path):
    snapshot = in_a_hub_s_cache(tmp_path / "models--o--n", tmp_path / "models--o--n" / "blobs")
    assert verify(snapshot, CheckpointError)["step"] == 12
    (snapshot / "a.txt").resolve().write_text("old")
    with pytest.raises(CheckpointError, match="SHA-256"):
        verify(snapshot, CheckpointError)


def test_links_to_anywhere_else_lead_outside(tmp_path):
    snapshot = in_a_hub_s_cache(tmp_path / "models--o--n", tmp_path / "elsewhere")
    (snapshot / MANIFEST).unlink()
    (tmp_path / "elsewhere" / "2").rename(snapshot / MANIFEST)
    with pytest.raises(CheckpointError, match="outside its folder"):
        verify(snapshot, CheckpointError)
