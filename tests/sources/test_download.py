"""Downloads against a real server on this machine: whole and verified or not at all, however the server behaves."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import SourceError
from cmelt.sources import transfer as transfers
from cmelt.sources import web
from cmelt.sources.about import About
from cmelt.sources.download import download
from cmelt.sources.remote_files import in_sums
from cmelt.sources.transfer import TRIES, StoppedError, Wire, transfer
from file_server import serving

SUMS = About("A test's dataset", licence="CC BY 4.0", citation="Nobody", download="physionet:test/1.0")
RECORD = About("A test's record", download="zenodo:1")
LARGE = np.random.default_rng(0).bytes(3_000_000)
QUICK = 0.001


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving() as files:
        yield files


def fetch(base: str, folder: Path, about: About = SUMS, **settings):
    return download(about, folder, base=base, pause=QUICK, **settings)


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_every_file_of_the_list_comes(server, tmp_path):
    base = server.publish_sums("/t/1.0", **{"a.csv": b"a,b\n", "records/1/1.dat": LARGE, "empty": b""})
    done = fetch(base, tmp_path / "d")
    assert (done.fetched, done.kept, done.failed) == (3, 0, ())
    assert (tmp_path / "d/records/1/1.dat").read_bytes() == LARGE
    assert names_in(tmp_path / "d") == {"a.csv", "records/1/1.dat", "empty", "SHA256SUMS.txt"}


def test_a_record_of_zenodo_with_md5(server, tmp_path):
    seen = []
    base = server.publish_record("/api/records/1", **{"exams.csv": b"x\n", "part0.zip": LARGE})
    done = fetch(base, tmp_path, RECORD, progress=lambda done, total: seen.append((done, total)))
    assert (done.fetched, (tmp_path / "part0.zip").read_bytes()) == (2, LARGE)
    assert seen[-1] == (len(LARGE) + 2, len(LARGE) + 2)


def test_names_with_blanks_and_signs_are_asked_for_as_they_are(server, tmp_path):
    base = server.publish_sums("/t")
    name, content = "a b/c#1%2?.txt", b"x"
    server.content["/t/a%20b/c%231%252%3F.txt"] = content
    server.content["/t/SHA256SUMS.txt"] = f"{hashlib.sha256(content).hexdigest()} *{name}\n".encode()
    assert fetch(base, tmp_path).fetched == 1
    assert (tmp_path / name).read_bytes() == content


def test_only_what_matches_is_fetched(server, tmp_path):
    base = server.publish_sums("/t", **{"a.csv": b"a", "r/1/1.dat": b"1", "r/2/2.dat": b"2", "s/1.dat": b"s"})
    assert fetch(base, tmp_path, only=["*.csv", "r/1/*"]).fetched == 2
    assert names_in(tmp_path) == {"SHA256SUMS.txt", "a.csv", "r/1/1.dat"}
    with pytest.raises(SourceError, match="no file of that name"):
        fetch(base, tmp_path, only=["q/*"])


def test_what_lies_there_whole_is_not_fetched_again(server, tmp_path):
    base = server.publish_sums("/t", a=LARGE, b=b"b")
    fetch(base, tmp_path)
    server.asked.clear()
    done = fetch(base, tmp_path)
    assert (done.fetched, done.kept) == (0, 2)
    assert [path for path, _ in server.asked] == ["/t/SHA256SUMS.txt"]


def test_an_altered_file_is_put_aside_and_fetched_anew(server, tmp_path):
    base = server.publish_sums("/t", a=b"right")
    (tmp_path / "a").write_bytes(b"wrong")
    assert fetch(base, tmp_path).fetched == 1
    assert (tmp_path / "a").read_bytes() == b"right"
    assert (tmp_path / "a.mismatch").read_bytes() == b"wrong"


@pytest.mark.parametrize("faults", [["drop 1000000"], ["drop 1000000", "drop 70000", "503", "reset"], ["429"], ["502", "504"]])
def test_lost_connections_and_busy_servers_are_asked_again_for_the_rest(server, tmp_path, faults):
    base = server.publish_sums("/t", a=LARGE)
    server.marks["/t/a"] = '"one"'
    server.faults["/t/a"] += faults
    assert fetch(base, tmp_path).failed == ()
    assert (tmp_path / "a").read_bytes() == LARGE
    asked = [wanted for path, wanted in server.asked if path == "/t/a"]
    assert len(asked) == len(faults) + 1
    if faults[0].startswith("drop"):
        assert asked[1] == "bytes=1000000-"  # nothing that came is fetched twice


def test_an_interrupted_download_goes_on_where_it_was(server, tmp_path):
    base = server.publish_record("/r", a=LARGE)
    (tmp_path / "a.part").write_bytes(LARGE[:2_000_000])
    fetch(base, tmp_path, RECORD)
    assert ("/r/files/a/content", "bytes=2000000-") in server.asked
    assert (tmp_path / "a").read_bytes() == LARGE


def test_a_part_that_is_whole_needs_no_more_bytes(server, tmp_path):
    base = server.publish_sums("/t", a=LARGE)
    (tmp_path / "a.part").write_bytes(LARGE)
    assert fetch(base, tmp_path).fetched == 1
    assert names_in(tmp_path) == {"SHA256SUMS.txt", "a"}


@pytest.mark.parametrize("part", [LARGE[:1000] + b"?" + LARGE[1001:50_000], LARGE + b"too long", b"?" * len(LARGE)])
def test_a_damaged_part_is_thrown_away_and_fetched_from_the_beginning(server, tmp_path, part):
    base = server.publish_sums("/t", a=LARGE)
    (tmp_path / "a.part").write_bytes(part)
    assert fetch(base, tmp_path).failed == ()
    assert (tmp_path / "a").read_bytes() == LARGE


def test_a_file_that_changed_on_the_server_is_begun_again(server, tmp_path):
    base = server.publish_sums("/t", a=LARGE)
    (tmp_path / "a.part").write_bytes(b"older" * 1000)
    (tmp_path / "a.part-from").write_text('{"validator": "\\"old\\"", "total": 3000000}')
    server.marks["/t/a"] = '"new"'  # If-Range does not hold any more: the server sends all of it
    assert fetch(base, tmp_path).failed == ()
    assert [wanted for path, wanted in server.asked if path == "/t/a"] == ["bytes=5000-"]
    assert (tmp_path / "a").read_bytes() == LARGE


def test_a_size_that_changed_on_the_server_is_begun_again(server, tmp_path):
    base = server.publish_sums("/t", a=LARGE)
    (tmp_path / "a.part").write_bytes(LARGE[:5000])
    (tmp_path / "a.part-from").write_text('{"total": 2999999}')
    assert fetch(base, tmp_path).failed == ()
    assert [wanted for path, wanted in server.asked if path == "/t/a"] == ["bytes=5000-", None]


def test_a_part_that_was_not_asked_for_is_not_taken(server, tmp_path):
    base = server.publish_sums("/t", a=LARGE)
    server.faults["/t/a"] += ["drop 100000", "foreign part"]
    assert fetch(base, tmp_path).failed == ()
    assert (tmp_path / "a").read_bytes() == LARGE


def test_servers_without_ranges_serve_as_well(server, tmp_path):
    base = server.publish_sums("/t", a=LARGE)
    server.ranges = False
    server.faults["/t/a"] += ["drop 1500000", "drop 2000000"]
    assert fetch(base, tmp_path).failed == ()
    assert (tmp_path / "a").read_bytes() == LARGE


def test_wrong_bytes_are_kept_aside_and_said(server, tmp_path):
    base = server.publish_sums("/t", a=LARGE, b=b"b")
    server.faults["/t/a"] += ["other"]
    done = fetch(base, tmp_path)
    ((path, reason),) = done.failed
    assert (done.fetched, path) == (1, "a")
    assert "does not match its checksum" in reason
    assert names_in(tmp_path) == {"SHA256SUMS.txt", "b", "a.mismatch"}
    assert fetch(base, tmp_path).failed == ()  # the next time it is right
    assert (tmp_path / "a").read_bytes() == LARGE


def test_more_than_announced_is_not_taken(server, tmp_path):
    base = server.publish_record("/r", a=b"x" * 1000, b=b"y" * 1000)
    server.faults["/r/files/a/content"] += ["long"]
    server.faults["/r/files/b/content"] += ["chunked"]
    done = fetch(base, tmp_path, RECORD)
    assert (tmp_path / "a").read_bytes() == b"x" * 1000  # what follows the announced length belongs to nobody
    assert done.failed == (("b", "the server sends more than was announced"),)
    assert not (tmp_path / "b").exists()
    assert (tmp_path / "b.part").stat().st_size <= 1000


def test_another_size_than_the_record_says_is_refused_before_it_comes(server, tmp_path):
    base = server.publish_record("/r", a=b"x" * 1000)
    server.content["/r/files/a/content"] = LARGE
    ((_, reason),) = fetch(base, tmp_path, RECORD).failed
    assert "another size than the list" in reason
    assert names_in(tmp_path) == {"zenodo-record.json"}


@pytest.mark.parametrize(("status", "tries"), [("404", 1), ("403", 1), ("410", 1), ("503", TRIES)])
def test_a_file_that_cannot_be_had_is_listed_and_the_others_come(server, tmp_path, status, tries):
    base = server.publish_sums("/t", a=b"a", b=b"b")
    server.faults["/t/a"] += [status] * tries
    done = fetch(base, tmp_path)
    assert done.fetched == 1
    assert [(path, f"the server answers {status}" in reason) for path, reason in done.failed] == [("a", True)]
    assert sum(path == "/t/a" for path, _ in server.asked) == tries


def test_nothing_but_failures_ends_it(server, tmp_path):
    base = server.publish_sums("/t", **{f"f{n}": b"x" for n in range(100)})
    server.content = {"/t/SHA256SUMS.txt": server.content["/t/SHA256SUMS.txt"]}
    with pytest.raises(SourceError, match="20 files in a row"):
        fetch(base, tmp_path)


def test_without_a_list_there_is_no_download(server, tmp_path):
    with pytest.raises(SourceError, match=r"SHA256SUMS.txt: the server answers 404"):
        fetch(server.url + "/nothing", tmp_path)


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x", "http://me:secret@127.0.0.1/x", "/t/a"]
)
def test_redirections_elsewhere_than_to_web_servers_are_refused(server, tmp_path, location):
    base = server.publish_sums("/t", a=b"a")
    server.faults["/t/a"] += [f"redirect {location}"] * 20
    ((path, reason),) = fetch(base, tmp_path).failed
    assert path == "a"
    assert "redirects" in reason or "not an address" in reason or "user name" in reason
    assert names_in(tmp_path) == {"SHA256SUMS.txt"}


def test_redirections_to_web_servers_are_followed(server, tmp_path):
    base = server.publish_sums("/t", a=LARGE)
    server.content["/mirror/a"] = LARGE
    server.faults["/t/a"] += ["redirect /mirror/a"]
    assert fetch(base, tmp_path).failed == ()


@pytest.mark.parametrize(
    ("base", "complaint"),
    [
        ("file:///etc", "file"), ("ftp://x/y", "ftp"), ("x", "no scheme"), ("http://", "not an address"),
        ("http://a:b@127.0.0.1:1/", "user name"), ("https://x:port/", "cannot be read"),
    ],
)  # fmt: skip
def test_addresses_that_are_no_web_server_s_are_refused(tmp_path, base, complaint):
    with pytest.raises(SourceError, match=complaint) as caught:
        fetch(base, tmp_path)
    assert "a:b" not in str(caught.value)


def test_packed_answers_are_refused(server, tmp_path):
    base = server.publish_sums("/t", a=b"a")
    server.faults["/t/a"] += ["packed"]
    assert "packs" in fetch(base, tmp_path).failed[0][1]


def test_a_list_with_such_a_name_is_not_followed_at_all(server, tmp_path):
    base = server.publish_sums("/t", a=b"a", **{"../../x": b"x"})
    with pytest.raises(SourceError, match="outside the folder"):
        fetch(base, tmp_path / "d")
    assert names_in(tmp_path) == {"d/SHA256SUMS.txt"}


def test_links_that_lead_out_of_the_folder_are_not_followed(server, tmp_path):
    base = server.publish_sums("/t", **{"out/a": b"a", "b": b"b", "c": b"c"})
    folder, outside = tmp_path / "d", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "b").write_bytes(b"mine")
    (folder / "out").symlink_to(outside)
    (folder / "b").symlink_to(outside / "b")
    (folder / "c.part").symlink_to(outside / "c")
    done = fetch(base, folder)
    assert {path for path, _ in done.failed} == {"out/a", "b", "c"}
    assert names_in(outside) == {"b"}
    assert (outside / "b").read_bytes() == b"mine"


def test_a_folder_in_the_place_of_a_file_is_said(server, tmp_path):
    base = server.publish_sums("/t", a=b"a", b=b"b", **{"c/d": b"d"})
    (tmp_path / "a").mkdir()
    (tmp_path / "b.part").mkdir()
    (tmp_path / "c").write_bytes(b"")
    assert [path for path, _ in fetch(base, tmp_path).failed] == ["a", "b", "c/d"]


@pytest.mark.parametrize(("access", "complaint"), [("credentialed", "signed-in"), ("yours", "cannot be downloaded")])
def test_what_cannot_be_had_says_why(tmp_path, access, complaint):
    with pytest.raises(SourceError, match=complaint):
        download(About("x", access=access, where="https://x"), tmp_path)


def test_a_full_disk_ends_it_and_keeps_what_came(server, tmp_path, monkeypatch):
    class Full(io.BufferedWriter):
        def write(self, block):
            if self.tell() + len(block) > 1_500_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(block)

    base = server.publish_sums("/t", a=LARGE)
    with monkeypatch.context() as patched:
        patched.setattr(transfers.os, "fdopen", lambda descriptor, mode: Full(io.FileIO(descriptor, "w")))
        with pytest.raises(SourceError, match="the disk is full"):
            fetch(base, tmp_path)
    assert (tmp_path / "a.part").stat().st_size > 1_000_000
    assert fetch(base, tmp_path).failed == ()
    assert (tmp_path / "a").read_bytes() == LARGE


def test_too_little_room_is_said_before_anything_comes(server, tmp_path, monkeypatch):
    base = server.publish_record("/r", a=LARGE)
    monkeypatch.setattr("cmelt.sources.download.shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(SourceError, match="0 MB free where 2 MB are to come"):
        fetch(base, tmp_path, RECORD)


def test_a_silent_server_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(web, "PATIENCE", 0.1)
    base = server.publish_sums("/t", a=LARGE)
    server.faults["/t/a"] += ["stall"]
    assert fetch(base, tmp_path).failed == ()
    assert sum(path == "/t/a" for path, _ in server.asked) == 2


def test_stopping_keeps_what_came(server, tmp_path):
    base = server.publish_sums("/t", a=LARGE)
    file = next(in_sums(_sums(server, tmp_path), base))
    stop = threading.Event()
    with pytest.raises(StoppedError):
        transfer(file, tmp_path / "d", Wire(stop, lambda count: stop.set() if count else None))
    assert 0 < (tmp_path / "d/a.part").stat().st_size < len(LARGE)
    assert not (tmp_path / "d/a").exists()
    assert transfer(file, tmp_path / "d", Wire(threading.Event(), lambda _: None)) == "fetched"


def test_an_interrupt_ends_it_at_once_though_the_server_is_silent(server, tmp_path):
    base = server.publish_sums("/t", a=LARGE)
    server.faults["/t/a"] += ["stall"]

    def interrupted(done, total):
        if (tmp_path / "a.part").exists() and (tmp_path / "a.part").stat().st_size:
            raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch(base, tmp_path, progress=interrupted)
    assert time.monotonic() - begun < 10
    assert not (tmp_path / "a").exists()


def _sums(server, tmp_path: Path) -> Path:
    (tmp_path / "sums").write_bytes(server.content["/t/SHA256SUMS.txt"])
    return tmp_path / "sums"


@pytest.mark.slow
def test_thousands_of_files_from_a_server_that_fails_every_fifth_time(server, tmp_path):
    rng = np.random.default_rng(1)
    base = server.publish_sums("/t", **{f"r/{n % 7}/{n}.dat": rng.bytes(int(rng.integers(0, 9000))) for n in range(3000)})
    faults = ("503", "reset", "drop 100", "429")
    for n in range(0, 3000, 5):
        server.faults[f"/t/r/{n % 7}/{n}.dat"].append(faults[n // 5 % 4])
    done = fetch(base, tmp_path, jobs=8)
    assert (done.fetched, done.failed) == (3000, ())
    assert fetch(base, tmp_path).kept == 3000
