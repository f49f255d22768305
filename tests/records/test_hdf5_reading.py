"""HDF5 files of one record, and what must not be followed, unpacked or taken for one."""

from __future__ import annotations

import os
import signal
import time
import zlib

import h5py
import numpy as np
import pytest

from array_files import write_hdf5, write_matlab_73
from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, apart, hdf5, read_ecg
from cmelt.records.record import LEADS
from code_files import tracing, write_part
from ecg_files import heart

SAID = ReadOptions(rate=100, unit="mV", leads=LEADS)


@pytest.mark.parametrize(
    "how", [{}, {"compression": "gzip", "shuffle": True, "fletcher32": True}, {"chunks": (12, 100), "compression": 9}]
)
def test_a_record_is_read_with_what_attributes_and_neighbours_state(tmp_path, how):
    record = read_ecg(write_hdf5(tmp_path / "x.h5", heart(), **how))
    assert np.array_equal(record.signal, heart())
    assert (record.rate, record.leads) == (100, LEADS)


def test_a_record_of_samples_by_leads_and_one_with_a_leading_axis_of_one_are_set_upright(tmp_path):
    write_hdf5(tmp_path / "a.h5", heart().T)
    write_hdf5(tmp_path / "b.h5", heart().T[np.newaxis])
    for name in ("a.h5", "b.h5"):
        assert np.array_equal(read_ecg(tmp_path / name).signal, heart())


def test_facts_may_stand_in_a_group_or_on_the_dataset(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs["sampling_rate"] = "100 Hz"
        group = file.create_group("record")
        group["ecg"] = (heart() * 1000).astype(np.int16)
        group["ecg"].attrs["units"] = "uV"
        group.attrs["lead_names"] = ",".join(LEADS)
        group.attrs["age"], group.attrs["sex"], group["report"] = 50, "F", "sinus rhythm"
    record = read_ecg(tmp_path / "x.h5")
    assert np.allclose(record.signal, heart(), atol=1e-3)
    assert (record.rate, record.leads, record.age, record.sex, record.report) == (100, LEADS, 50, "female", "sinus rhythm")


def test_a_bare_array_needs_to_be_told_everything(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = heart()
    for options in (
        ReadOptions(),
        ReadOptions(rate=100, unit="mV"),
        ReadOptions(rate=100, leads=LEADS),
        ReadOptions(unit="mV", leads=LEADS),
    ):
        with pytest.raises(RecordError, match="does not"):
            read_ecg(tmp_path / "x.h5", options)
    assert np.array_equal(read_ecg(tmp_path / "x.h5", SAID).signal, heart())


def test_facts_of_file_and_dataset_that_contradict_each_other_are_refused(tmp_path):
    path = write_hdf5(tmp_path / "x.h5", heart())
    with h5py.File(path, "r+") as file:
        file["signal"].attrs["rate"] = 500
    with pytest.raises(RecordError, match="two values"):
        read_ecg(path)


def test_a_file_of_many_records_is_refused_with_the_command_that_reads_it(tmp_path):
    write_part(tmp_path / "exams_part0.hdf5", [1, 2], [tracing(1), tracing(2)])
    with pytest.raises(RecordError, match=r"many records.*cmelt prepare code-15"):
        read_ecg(tmp_path / "exams_part0.hdf5", SAID)


def a_link_outside(file, folder):
    write_hdf5(folder / "other.h5", heart())
    file["signal"] = h5py.ExternalLink(str(folder / "other.h5"), "signal")


def a_soft_link(file, folder):
    file["hidden"] = heart()
    file["signal"] = h5py.SoftLink("/hidden")


def values_outside(file, folder):
    (folder / "values.bin").write_bytes(heart().tobytes())
    file.create_dataset("signal", (12, 1000), dtype="f4", external=[(folder / "values.bin", 0, 48000)])


def a_virtual_dataset(file, folder):
    write_hdf5(folder / "other.h5", heart())
    layout = h5py.VirtualLayout((12, 1000), dtype="f4")
    layout[:] = h5py.VirtualSource(folder / "other.h5", "signal", (12, 1000))
    file.create_virtual_dataset("signal", layout)


def ten_to_the_twelve(file, folder):
    file.create_dataset("signal", (12, 10**11), dtype="f4", chunks=(12, 1000))


def ten_to_the_twelve_in_many(file, folder):
    file.create_dataset("signal", (10**6, 10**6, 12), dtype="f4", chunks=(1, 1000, 12))


def chunks_never_written(file, folder):
    file.create_dataset("signal", (12, 1000), dtype="f4", chunks=(12, 100))[:, :500] = 1


def chunks_larger_than_an_ecg(file, folder):
    file.create_dataset("signal", (12, 1000), maxshape=(None, None), dtype="f4", chunks=(1000, 50_000))[...] = heart()


def texts_for_numbers(file, folder):
    file["signal"] = ["a", "b"]


def complex_numbers(file, folder):
    file["signal"] = heart().astype(np.complex64)


def an_attribute_too_large(file, folder):
    file["signal"] = heart()
    file.create_dataset("rate", data=np.zeros(10_000_000), compression="gzip")


def too_many_entries(file, folder):
    for number in range(1100):
        file.create_group(f"g{number}")


@pytest.mark.parametrize(
    ("put", "fault"),
    [
        (a_link_outside, "behind a link"),
        (a_soft_link, "behind a link"),
        (values_outside, "other files"),
        (a_virtual_dataset, "other files"),
        (ten_to_the_twelve, "announces 1200000000000 values"),
        (ten_to_the_twelve_in_many, "many records"),
        (chunks_never_written, "does not hold what it announces"),
        (chunks_larger_than_an_ecg, "chunks larger"),
        (texts_for_numbers, "not real numbers"),
        (complex_numbers, "not real numbers"),
        (an_attribute_too_large, "too large to state"),
        (too_many_entries, "more than 1000 entries"),
        (lambda file, folder: None, "no signal"),
    ],
)
def test_what_is_no_record_or_leads_out_of_the_file_is_refused(tmp_path, put, fault):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        put(file, tmp_path)
    began = time.monotonic()
    with pytest.raises(RecordError, match=fault):
        hdf5.read(tmp_path / "x.h5", SAID)
    assert time.monotonic() - began < 10  # on a busy machine; by itself it takes a tenth of a second


def test_a_chunk_that_unpacks_to_more_than_it_announces_is_not_unpacked(tmp_path):
    """HDF5 itself unpacks a chunk whole before it looks at the size."""
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("signal", (12, 1000), dtype="f4", chunks=(12, 1000), compression="gzip")
        dataset[...] = heart()
        dataset.id.write_direct_chunk((0, 0), zlib.compress(bytes(100 << 20)))
    with pytest.raises(RecordError, match="unpacks to more"):
        hdf5.read(tmp_path / "x.h5", SAID)


def test_a_reading_process_that_dies_is_the_file_s_fault_and_the_next_file_is_read(tmp_path, monkeypatch):
    path = write_hdf5(tmp_path / "x.h5", heart())
    assert np.array_equal(hdf5.read(path).signal, heart())
    child = apart._children[0]
    send = child.send

    def killed(request):
        os.kill(child.process.pid, signal.SIGSTOP)
        send(request)
        os.kill(child.process.pid, signal.SIGKILL)

    monkeypatch.setattr(child, "send", killed)
    with pytest.raises(RecordError, match="damaged beyond reading"):
        hdf5.read(path)
    assert np.array_equal(hdf5.read(path).signal, heart())
    assert apart._children[0] is not child


def test_a_file_that_hangs_the_reading_process_is_given_up(tmp_path, monkeypatch):
    path = write_hdf5(tmp_path / "x.h5", heart())
    hdf5.read(path)
    child = apart._children[0]
    monkeypatch.setattr(apart, "PATIENCE", 0.2)
    os.kill(child.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(RecordError, match="too long"):
        hdf5.read(path)
    assert time.monotonic() - began < 10
    monkeypatch.undo()
    assert np.array_equal(hdf5.read(path).signal, heart())


def test_a_forked_process_has_a_reading_process_of_its_own(tmp_path):
    path = write_hdf5(tmp_path / "x.h5", heart())
    hdf5.read(path)
    forked = os.fork()
    if forked == 0:
        same = np.array_equal(hdf5.read(path).signal, heart())
        apart._end_child()
        os._exit(0 if same else 1)
    assert os.waitpid(forked, 0)[1] == 0
    assert np.array_equal(hdf5.read(path).signal, heart())


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(tmp_path, share):
    path = write_hdf5(tmp_path / "x.h5", heart())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(RecordError):
        hdf5.read(path)


def test_matlab_s_hdf5_is_matlab_s(tmp_path):
    path = write_matlab_73(tmp_path / "x.mat", heart())
    assert not hdf5.recognises(path, path.read_bytes()[:4096])
    with h5py.File(tmp_path / "x.h5", "w", userblock_size=1024) as file:
        file["signal"] = heart()
    assert hdf5.recognises(tmp_path / "x.h5", (tmp_path / "x.h5").read_bytes()[:4096])
    assert np.array_equal(read_ecg(tmp_path / "x.h5", SAID).signal, heart())


@pytest.mark.slow
def test_the_reading_process_keeps_within_its_memory(tmp_path):
    """12 leads of 46 minutes in float64, 128 MiB: the most that is read."""
    samples = (1 << 24) // 12
    with h5py.File(tmp_path / "x.h5", "w") as file:
        dataset = file.create_dataset("signal", (12, samples), dtype="f8", chunks=(12, 10_000), compression="gzip")
        for start in range(0, samples, 10_000):
            dataset[:, start : start + 10_000] = 0.001
    assert hdf5.read(tmp_path / "x.h5", SAID).signal.shape == (12, samples)
    with open(f"/proc/{apart._children[0].process.pid}/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert peak < 512 * 1024
