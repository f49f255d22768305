"""WFDB files made to hurt: an error within a second and bounded memory, whatever they announce."""

from __future__ import annotations

import gzip
import os
import time
import tracemalloc

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import read_ecg
from cmelt.records.readers.limits import LARGEST_FILE
from ecg_files import heart, write_wfdb
from wfdb_files import write_format_16, write_header

MEGABYTE = 1 << 20


def refused(path, megabytes: int = 16, match: str = ".") -> RecordError:
    """Reading `path` fails quickly and within `megabytes`."""
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(RecordError, match=match) as caught:
            read_ecg(path)
        assert time.process_time() - began < 1.0
        assert tracemalloc.get_traced_memory()[1] < megabytes * MEGABYTE
    finally:
        tracemalloc.stop()
    return caught.value


@pytest.fixture
def header(tmp_path):
    return write_wfdb(tmp_path / "r", heart())


@pytest.mark.parametrize("samples", [10**12, 10**18 - 1, 10**17])
def test_a_header_that_announces_a_trillion_samples(header, samples):
    header.write_text(header.read_text().replace(" 1000\n", f" {samples}\n"))
    refused(header)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (".dat 16 ", ".dat 16x999999 "),
        (".dat 16 ", ".dat 16x99999999999 "),
        (".dat 16 ", ".dat 16:999999999 "),
        (".dat 16 ", ".dat 16+999999999999999 "),
        (".dat 16 ", ".dat 16+99999999999999999999999999 "),
        (" 1000(0)/mV", " 1e308(0)/mV"),
        (" 1000(0)/mV", " 1e999(0)/mV"),
        (" 1000(0)/mV", " 1e-320(0)/mV"),
        (" 1000(0)/mV", " 1000(999999999999999999999)/mV"),
        (" 12 100 ", " 999999999 100 "),
        (" 12 100 ", " 99999999999999999999999 100 "),
        (" 12 100 ", " 12 1e400 "),
        (" 12 100 ", " 12 ٣٣ "),
        ("r 12 100 1000", "r"),
        ("r 12 100 1000", "\x00 \x00 \x00"),
    ],
)
def test_numbers_beyond_all_measure(header, old, new):
    header.write_text(header.read_text().replace(old, new))
    refused(header)


def test_a_million_segments(tmp_path):
    lines = ["s 1"] * 100_000
    refused(write_header(tmp_path, "m/100000 12 100 100000", lines, "m"), match="100000 segments")
    refused(write_header(tmp_path, "m/1000000 12 100", ["s 1"], "m"), match=r"about 1.0e\+06 segments")


def test_as_many_segments_as_are_read_take_no_long(tmp_path):
    write_format_16(tmp_path, np.zeros((12, 1), dtype=int), [f"V{n}" for n in range(12)], "s")
    header = write_header(tmp_path, "m/1000 12 100 1000", ["s 1"] * 999 + ["gone 1"], "m")
    tracemalloc.start()
    with pytest.raises(RecordError, match="No such file"):
        read_ecg(header)
    assert tracemalloc.get_traced_memory()[1] < 16 * MEGABYTE
    tracemalloc.stop()


def test_segments_that_are_together_too_long(tmp_path):
    write_format_16(tmp_path, np.zeros((2, 10), dtype=int), ("I", "II"), "s")
    refused(write_header(tmp_path, "m/2 2 100", ["s 10", "~ 999999999999999999"], "m"), match="announces")


def test_segments_in_a_circle(tmp_path):
    write_header(tmp_path, "a/1 2 100 10", ["b 10"], "a")
    write_header(tmp_path, "b/1 2 100 10", ["a 10"], "b")
    refused(tmp_path / "a.hea", match="segments itself")


def test_a_header_of_a_gigabyte(tmp_path):
    path = tmp_path / "r.hea"
    with path.open("wb") as stream:
        stream.write(b"r 12 100 1000\n")
        stream.truncate(1 << 30)
    refused(path, match="more than a megabyte")


def test_a_signal_file_of_a_terabyte(header):
    with header.with_suffix(".dat").open("ab") as stream:
        stream.truncate(1 << 40)
    refused(header, match="than its header says")
    header.write_text(header.read_text().replace(" 1000\n", "\n"))
    refused(header, match="larger than")


def bomb(size: int) -> bytes:
    return gzip.compress(bytes(MEGABYTE), 9) * (size // MEGABYTE)


def test_a_packed_signal_file_that_unpacks_to_gigabytes(header):
    header.with_suffix(".dat").unlink()
    (header.parent / "r.dat.gz").write_bytes(bomb(4 << 30))
    refused(header, match="unpacks to more")


def test_a_packed_signal_file_that_unpacks_to_gigabytes_and_whose_length_is_not_stated(header):
    header.write_text(header.read_text().replace(" 1000\n", "\n"))
    header.with_suffix(".dat").unlink()
    (header.parent / "r.dat.gz").write_bytes(bomb(4 << 30))
    refused(header, 2 * LARGEST_FILE // MEGABYTE, match="unpacks to more")


def test_a_packed_header_that_unpacks_to_gigabytes(tmp_path):
    (tmp_path / "r.hea.gz").write_bytes(bomb(4 << 30))
    refused(tmp_path / "r.hea.gz")


def test_any_packed_file_that_unpacks_to_gigabytes(tmp_path):
    (tmp_path / "ecg.xml.gz").write_bytes(bomb(4 << 30))
    refused(tmp_path / "ecg.xml.gz", 3 * LARGEST_FILE // MEGABYTE, match="unpacks to more")


def test_flac_that_unpacks_a_hundredfold(tmp_path):
    import soundfile

    silent = np.zeros((1 << 20, 8), dtype=np.int16)  # 16 MiB of silence in some 60 kB
    soundfile.write(tmp_path / "r.flac", silent, 1000, subtype="PCM_16")
    lines = [f"r.flac 516 1000/mV 16 0 0 5 0 x{row}" for row in range(8)]
    assert (tmp_path / "r.flac").stat().st_size < 100_000
    refused(write_header(tmp_path, "r 8 100 1000", lines), match="1048576 samples")
    refused(write_header(tmp_path, "r 8 100 999999999999", lines), match="announces")
    # Length not stated: 8 million values are read, and no more than they take.
    refused(write_header(tmp_path, "r 8 100", lines), 128, match="checksum")


def test_flac_that_announces_a_trillion_samples(tmp_path):
    import soundfile

    soundfile.write(tmp_path / "r.flac", np.zeros((4096, 1), dtype=np.int16), 1000, subtype="PCM_16")
    content = bytearray((tmp_path / "r.flac").read_bytes())
    content[21] |= 0x0F  # the number of samples: the last 36 of the 64 bits from byte 18 on
    content[22:26] = b"\xff\xff\xff\xff"
    (tmp_path / "r.flac").write_bytes(content)
    refused(write_header(tmp_path, "r 1 100", ["r.flac 516 1000/mV 16 0 0 5 0 I"]))
    refused(write_header(tmp_path, "r 1 100 4096", ["r.flac 516 1000/mV 16 0 0 5 0 I"]))


@pytest.mark.parametrize("name", ["r.dat", "r.hea"])
def test_a_pipe_that_nobody_writes_to(header, name):
    (header.parent / name).unlink()
    os.mkfifo(header.parent / name)
    refused(header if name == "r.dat" else header.parent / "r.dat")


@pytest.mark.parametrize("target", ["/dev/zero", "/etc/passwd", "../other/r.dat"])
def test_a_signal_file_that_is_a_link_out_of_the_folder(header, target):
    write_wfdb(header.parent.parent / "other" / "r", heart())
    header.with_suffix(".dat").unlink()
    header.with_suffix(".dat").symlink_to(target)
    error = refused(header, match="leads out")
    assert "root:" not in str(error)


@pytest.mark.parametrize("names", [("r.hea", "r.dat"), ("r.hea", "s0.hea", "s0.dat")], ids=["one segment", "several"])
def test_header_and_signal_file_may_both_be_links_out_of_the_folder(tmp_path, names):
    """git-annex, DataLad and the caches of hubs keep contents by their hash, elsewhere, and lay out a tree of links."""
    (tmp_path / "tree").mkdir()
    write_wfdb(tmp_path / "written" / names[-1].removesuffix(".dat"), heart())
    if len(names) > 2:
        (tmp_path / "written" / "r.hea").write_text(f"r/1 12 100\ns0 {heart().shape[1]}\n")
    for name in names:
        content = tmp_path / "contents" / name.encode().hex() / "SHA256E"
        content.parent.mkdir(parents=True)
        (tmp_path / "written" / name).rename(content)
        (tmp_path / "tree" / name).symlink_to(content)
    through_links = read_ecg(tmp_path / "tree" / "r")
    assert np.abs(through_links.signal - heart()).max() < 0.001


def test_a_header_that_is_a_link_within_its_folder_opens_no_other(header):
    write_wfdb(header.parent.parent / "other" / "r", heart())
    header.rename(header.with_name("content"))
    header.symlink_to("content")
    header.with_suffix(".dat").unlink()
    header.with_suffix(".dat").symlink_to("../other/r.dat")
    refused(header, match="leads out")


def test_a_signal_file_that_is_a_link_to_itself(header):
    header.with_suffix(".dat").unlink()
    header.with_suffix(".dat").symlink_to("r.dat")
    refused(header, match="cannot be read")


def test_a_record_as_large_as_is_read_takes_bounded_memory(tmp_path):
    frames = (1 << 25) // 12
    steps = np.zeros((12, frames), dtype="<i2")
    header = write_format_16(tmp_path, steps, [f"x{row}" for row in range(12)])
    del steps
    tracemalloc.start()
    assert read_ecg(header).signal.shape == (12, frames)
    assert tracemalloc.get_traced_memory()[1] < 400 * MEGABYTE
    tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["8", "24", "32", "212", "310", "311"])
def test_the_largest_record_of_each_format_takes_bounded_memory(tmp_path, form):
    from cmelt.records.readers.physionet_formats import LAYOUTS

    samples = 1 << 25
    with (tmp_path / "r.dat").open("wb") as stream:
        stream.truncate(LAYOUTS[int(form)].bytes_of(samples)[0])
    header = write_header(tmp_path, f"r 1 100 {samples}", [f"r.dat {form} 1000/mV 16 0 0 0 0 I"])
    tracemalloc.start()
    assert read_ecg(header).signal.shape == (1, samples)
    assert tracemalloc.get_traced_memory()[1] < 420 * MEGABYTE
    tracemalloc.stop()
