"""What publishers' lists may say: names that stay in the folder, checksums, addresses."""

from __future__ import annotations

import pytest

from cmelt.errors import SourceError
from cmelt.sources.remote_files import in_sums, in_zenodo_record, place_of, safe_path

BAD_NAMES = [
    "/etc/passwd", "../x", "a/../../x", "C:/x", "c:x", "a\\..\\x", "a\x00b", "..", "", "a/", ".",
    "x.part", "x.mismatch", "a\x1b[2J",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_leave_the_folder_are_refused(name):
    with pytest.raises(SourceError, match="outside the folder"):
        safe_path(name, "list")
    assert safe_path("a/./b..c/..d", "list") == "a/b..c/..d"


@pytest.mark.parametrize("between", [" ", "  ", " *"])
def test_lists_are_read_as_physionet_and_as_sha256sum_write_them(tmp_path, between):
    (tmp_path / "sums").write_text(f"{'AB' * 32}{between}files/p1/a b.dat\r\n\n")
    (file,) = in_sums(tmp_path / "sums", "http://x/y")
    assert (file.path, file.url, file.digest) == ("files/p1/a b.dat", "http://x/y/files/p1/a%20b.dat", "sha256:" + "ab" * 32)


@pytest.mark.parametrize("text", ["no sums\n", "0" * 64 + "\n", "0" * 40 + " a\n", "<html>", "\xff\xfe"])
def test_a_list_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "sums").write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceError):
        list(in_sums(tmp_path / "sums", "http://x/"))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"files": [{"key": "a"}]}', "[" * 100_000]
    + [
        f'{{"files": [{{"key": {key}, "size": {size}, "checksum": "{checksum}", "links": {{"self": "http://x"}}}}]}}'
        for key, size, checksum in (
            ('"a"', 1, "md5:x"), ('"a"', '"1"', "md5:" + "0" * 32), ('"a"', -1, "md5:" + "0" * 32), ("7", 1, "md5:" + "0" * 32),
            ('"a"', 1, "crc:0"), ('"../a"', 1, "md5:" + "0" * 32),
        )
    ],
)  # fmt: skip
def test_a_record_that_is_none_is_refused(text):
    with pytest.raises(SourceError):
        in_zenodo_record(text.encode(), "http://x")


@pytest.mark.parametrize("place", ["", "physionet", "physionet:../x", "zenodo:x", "ftp:x", "physionet:a/1/../2"])
def test_places_that_are_none_are_refused(place):
    with pytest.raises(SourceError):
        place_of(place)
    assert place_of("physionet:ptb-xl/1.0.3") == ("physionet", "https://physionet.org/files/ptb-xl/1.0.3/")
    assert place_of("zenodo:4916206") == ("zenodo", "https://zenodo.org/api/records/4916206")
