"""Tables with one column a lead: headings, times, units, decimal commas, gaps; and what is no table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from array_files import table_text, write_table
from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, apart, read_ecg, table
from cmelt.records.record import LEADS
from ecg_files import heart

SAID = ReadOptions(rate=100, unit="mV")


def write(folder, text: str | bytes):
    path = folder / "x"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def columns(heading: str, signal: np.ndarray, delimiter: str = ",") -> str:
    return heading + "\n" + "".join(delimiter.join(f"{value:.4f}" for value in row) + "\n" for row in signal.T)


@pytest.mark.parametrize(("delimiter", "comma"), [(",", "."), (";", "."), ("\t", "."), (" ", "."), (";", ","), ("\t", ",")])
def test_every_delimiter_and_decimal_comma_gives_the_same_record(tmp_path, delimiter, comma):
    heading = "time_s I_mV II_mV III_mV aVR_mV aVL_mV aVF_mV V1_mV V2_mV V3_mV V4_mV V5_mV V6_mV".replace(" ", delimiter)
    text = table_text(heart(), delimiter=delimiter, comma=comma)
    record = read_ecg(write(tmp_path, heading + text[text.index("\n") :]))
    assert np.allclose(record.signal, heart(), atol=6e-5)
    assert (record.rate, record.leads) == (100, LEADS)


def test_leads_are_taken_by_name_in_any_order_and_spelling_and_other_columns_are_ignored(tmp_path):
    rows = "".join(f"{n},{n / 100:.2f},N,{a:.4f},{b:.4f},ok\n" for n, (a, b) in enumerate(heart()[[4, 1]].T))
    record = read_ecg(write(tmp_path, "sample,time (s),beat,Lead aVL [uV],MDC_ECG_LEAD_II (µV),remark\n" + rows))
    assert record.leads == ("aVL", "II")
    assert np.allclose(record.signal, heart()[[4, 1]] / 1000, atol=1e-6)


@pytest.mark.parametrize("unit", ["mV", "uV", "µV", "V"])
def test_units_stand_in_headings(tmp_path, unit):
    scale = {"mV": 1, "uV": 1000, "µV": 1000, "V": 0.001}[unit]
    heading = ",".join(f"{lead} ({unit})" for lead in LEADS)
    text = heading + "\n" + "".join(",".join(f"{value * scale:.9f}" for value in row) + "\n" for row in heart().T)
    assert np.allclose(read_ecg(write(tmp_path, text), ReadOptions(rate=100)).signal, heart(), atol=1e-5)


def test_units_in_an_old_code_page_are_read(tmp_path):
    text = columns(",".join(f"{lead} (µV)" for lead in LEADS), heart() * 1000)
    assert np.allclose(read_ecg(write(tmp_path, text.encode("cp1252")), ReadOptions(rate=100)).signal, heart(), atol=1e-4)


def test_lines_above_the_heading_state_rate_unit_and_more(tmp_path):
    text = "# rate: 100\n# unit = uV\n% sex: F\n# age: 61\n# patient: 4711\n# whatever: else\n" + columns(
        ",".join(LEADS), heart() * 1000
    )
    path = write(tmp_path, text)
    record = read_ecg(path)
    assert np.allclose(record.signal, heart(), atol=1e-4)
    assert (record.rate, record.sex, record.age, record.patient) == (100, "female", 61, None)
    assert read_ecg(path, ReadOptions(identity=True)).patient == "4711"


def test_what_a_table_leaves_unsaid_is_asked_for(tmp_path):
    path = write(tmp_path, columns(",".join(LEADS), heart()))
    for options in (ReadOptions(), ReadOptions(rate=100), ReadOptions(unit="mV")):
        with pytest.raises(RecordError, match="does not state"):
            read_ecg(path, options)
    assert np.allclose(read_ecg(path, SAID).signal, heart(), atol=6e-5)


def test_bare_numbers_are_read_when_the_leads_are_said(tmp_path):
    path = write(tmp_path, columns("", heart()).lstrip())
    with pytest.raises(RecordError, match="does not name its leads"):
        read_ecg(path, SAID)
    assert np.allclose(read_ecg(path, ReadOptions(rate=100, unit="mV", leads=LEADS)).signal, heart(), atol=6e-5)


@pytest.mark.parametrize(
    ("heading", "step", "digits", "rate"),
    [
        ("time (s)", 1 / 500, 3, 500),
        ("t_ms", 2, 0, 500),
        ("Time [us]", 2000, 0, 500),
        ("seconds", 1 / 360, 3, 360),
        ("ms", 1000 / 256, 2, 256),
    ],
)
def test_times_printed_with_few_digits_give_the_rate(tmp_path, heading, step, digits, rate):
    rows = "".join(f"{n * step:.{digits}f},{value:.4f}\n" for n, value in enumerate(heart()[0]))
    record = read_ecg(write(tmp_path, f"{heading},I (mV)\n{rows}"))
    assert record.rate == rate


def test_a_rate_that_is_no_whole_number_stays_one(tmp_path):
    rows = "".join(f"{n / 513.469:.9f},{value:.4f}\n" for n, value in enumerate(heart()[0]))
    assert read_ecg(write(tmp_path, f"time (s),I (mV)\n{rows}")).rate == pytest.approx(513.469, rel=1e-6)


@pytest.mark.parametrize(
    ("times", "fault"),
    [
        ([0, 0.01, 0.02, 0.04, 0.05], "not equidistant"),
        ([0, 0.003, 0.006, 0.011, 0.014, 0.017, 0.019], "not equidistant"),
        ([0, 0.01, 0.01, 0.02, 0.03], "not equidistant"),
        ([0.04, 0.03, 0.02, 0.01, 0], "not equidistant"),
        ([0, 0.01, float("nan"), 0.03, 0.04], "missing"),
    ],
)
def test_times_with_a_gap_a_repetition_or_backwards_are_refused(tmp_path, times, fault):
    rows = "".join(f"{'' if np.isnan(at) else at},0.1\n" for at in times)
    with pytest.raises(RecordError, match=fault):
        read_ecg(write(tmp_path, f"time (s),I (mV)\n{rows}"))


def test_a_row_missing_among_thousands_is_noticed(tmp_path):
    lines = table_text(heart(seconds=60)).splitlines(keepends=True)
    del lines[3000]
    with pytest.raises(RecordError, match="not equidistant"):
        read_ecg(write(tmp_path, "".join(lines)))


def test_times_without_a_unit_do_not_give_a_rate_but_may_bear_one_out(tmp_path):
    path = write(tmp_path, "time,I (mV)\n" + "".join(f"{n * 10},{value:.4f}\n" for n, value in enumerate(heart()[0])))
    with pytest.raises(RecordError, match="in which unit"):
        read_ecg(path)
    assert read_ecg(path, ReadOptions(rate=100)).rate == 100  # they were milliseconds
    with pytest.raises(RecordError, match="in which unit"):
        read_ecg(path, ReadOptions(rate=250))


@pytest.mark.parametrize("said", ["# rate: 500\n", ""])
def test_a_rate_that_the_times_contradict_is_refused(tmp_path, said):
    with pytest.raises(RecordError, match=r"contradict|states 100 Hz"):
        read_ecg(write(tmp_path, said + table_text(heart())), ReadOptions() if said else ReadOptions(rate=500))


@pytest.mark.parametrize("missing", ["", " ", "NaN", "nan", "NA", "null", "-"])
def test_empty_cells_were_not_measured(tmp_path, missing):
    lines = table_text(heart()).splitlines()
    cells = lines[11].split(",")
    cells[3] = missing
    lines[11] = ",".join(cells)
    record = read_ecg(write(tmp_path, "\n".join(lines)))
    assert np.argwhere(np.isnan(record.signal)).tolist() == [[2, 10]]


@pytest.mark.parametrize("wrong", ["x", "0.1.2", "1_0", "0,1", "#REF!", "0x10", "1e", "--1"])
def test_a_cell_that_is_no_number_is_named_by_line_and_column(tmp_path, wrong):
    lines = table_text(heart(), delimiter=";").splitlines()
    cells = lines[11].split(";")
    cells[3] = wrong
    lines[11] = ";".join(cells)
    with pytest.raises(RecordError, match=r"line 12, column III \(mV\): not a number"):
        read_ecg(write(tmp_path, "\n".join(lines)))


def test_points_and_commas_in_one_table_are_not_guessed_at(tmp_path):
    with pytest.raises(RecordError, match="line 3, column II"):
        read_ecg(write(tmp_path, "I;II\n0,5;0,5\n0,5;1.234\n"), SAID)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("I (mV),II (uV)\n0.1,100\n0.1,100\n", "different units"),
        ("time (s),t (s),I (mV)\n0,0,1\n1,1,1\n", "two columns of times"),
        ("time (fortnights),I (mV)\n0,1\n1,1\n", "unit that is not known"),
        ("I,I\n1,1\n1,1\n", "occurs twice"),
        ("I,lead 1\n1,1\n1,1\n", "occurs twice"),
        ("I,II\n1,1\n1\n", "line 3 has 1 cells where others have 2"),
        ("I,II\n1,1\n1,1,1\n", "line 3 has 3 cells"),
        ("I,II\n1,inf\n1,1\n", "line 2|no columns"),
        ("I,II\n1,1\n1,inf\n", "infinite|not a number"),
        ("# rate: 100\n# fs: 500\nI (mV)\n1\n1\n", "two values"),
        ("# gain: 200\nI (mV)\n1\n1\n", "gain"),
        ("# unit: uV\nI (mV)\n1\n1\n", "two values for its unit"),
    ],
)
def test_a_table_that_is_ambiguous_or_contradicts_itself_is_refused(tmp_path, text, fault):
    with pytest.raises(RecordError, match=fault):
        table.read(write(tmp_path, text), SAID)


def test_a_watch_s_export_is_read_without_the_wearer_s_name(tmp_path):
    lines = [
        "Name,Jane Doe", 'Date of Birth,"1 Jan 1980"', "Recorded Date,2020-01-01 10:00:00 +0100", "Classification,Sinus Rhythm",
        "Symptoms,", "Software Version,1.9", 'Device,"Watch4,3"', "Sample Rate,512 hertz", "", "", "Lead,Lead I", "Unit,µV", "",
    ]  # fmt: skip
    path = write(tmp_path, "\n".join(lines) + "\n" + "".join(f"{value * 1000:.3f}\n" for value in heart(rate=512)[0]))
    record = read_ecg(path)
    assert (record.rate, record.leads, record.report, record.patient) == (512, ("I",), "Sinus Rhythm", None)
    assert np.allclose(record.signal, heart(rate=512)[:1], atol=1e-5)


@pytest.mark.parametrize(
    "content",
    [
        b"Dear colleague,\n\nI saw the patient today. V1 to V6 look normal.\n",
        b"I, too, went home.\nII, III and aVF show ST elevation.\n",
        b"<?xml version='1.0'?>\n<I>1</I>\n",
        b'{"I": [1, 2], "II": [1, 2]}\n',
        b"record 12 500 5000\nrecord.dat 16 1000(0)/mV 16 0 0 0 0 I\n",
        b"name,age\nJane,50\nJohn,51\n",
        b"\x00\x01\x02\x03" * 100,
        bytes(range(256)) * 16,
        b"I,II\n",
        b"\n" * 4096,
        b"1" * 4096,
    ],
)
def test_prose_and_other_formats_are_no_tables(tmp_path, content):
    assert not table.recognises(tmp_path / "x", content)
    with pytest.raises(RecordError):
        table.read(write(tmp_path, content), ReadOptions(rate=100, unit="mV", leads=("I",)))


def test_numbers_are_no_headings_though_1_may_name_a_lead(tmp_path):
    path = write(tmp_path, "1,2,3\n4,5,6\n7,8,9\n")
    with pytest.raises(RecordError, match="does not name"):
        read_ecg(path, SAID)
    record = read_ecg(path, ReadOptions(rate=100, unit="mV", leads=("I", "II", "III")))
    assert record.signal.tolist() == [[1, 4, 7], [2, 5, 8], [3, 6, 9]]


def test_a_line_without_end_binary_rows_and_endless_empty_lines_are_refused_at_once(tmp_path):
    start = b"I,II\n0.1,0.2\n"
    for content in (
        start + b"1" * (50 << 20),
        start + b"\0\0,\0\n",
        start + b"\xff\xfe,1\n",
        start + b"\n" * (20 << 20),
        b"," * (50 << 20),
    ):
        path = write(tmp_path, content)
        began = time.process_time()
        with pytest.raises(RecordError):
            table.read(path, SAID)
        assert time.process_time() - began < 1


def test_a_file_of_many_rows_is_counted_before_it_is_read(tmp_path):
    path = write(tmp_path, b"I,II\n" + b"1,1\n" * (1 << 23))
    began = time.process_time()
    with pytest.raises(RecordError, match="more rows"):
        table.read(path, SAID)
    assert time.process_time() - began < 1


def parquet(path, names=tuple(f"{lead} (mV)" for lead in LEADS), signal=None, metadata=None, **more):
    arrays = {name: pa.array(row) for name, row in zip(names, heart() if signal is None else signal, strict=True)}
    written = pa.table({**more, **arrays})
    pq.write_table(written.replace_schema_metadata(metadata), path)
    return path


def test_parquet_is_read_as_text_is(tmp_path):
    times = pa.array(np.arange(1000) / 100)
    record = read_ecg(parquet(tmp_path / "x", **{"time (s)": times, "remark": pa.array(["x"] * 1000)}))
    assert np.array_equal(record.signal, heart())
    assert (record.rate, record.leads) == (100, LEADS)


def test_no_library_is_imported_while_the_patience_for_a_file_runs(tmp_path):
    """A slow disk's imports took longer than a file may: the first parquet file of a process was called damaged."""
    parquet(tmp_path / "x", remark=pa.array(["x"] * 1000))
    program = f"""
import sys
from pathlib import Path
from cmelt.records.readers import apart_child
read, known = apart_child._task("parquet"), {{name.partition(".")[0] for name in sys.modules}}
read(Path({str(tmp_path / "x")!r}), lambda size: None)
sys.exit(" ".join(sorted({{name.partition(".")[0] for name in sys.modules}} - known)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_libraries_that_come_slowly_are_not_the_first_file_s_fault(tmp_path, monkeypatch):
    path = parquet(tmp_path / "x", **{"time (s)": pa.array(np.arange(1000) / 100)})
    apart._end_child()
    monkeypatch.setattr(apart, "PATIENCE", 0.7)  # less than its libraries will take
    monkeypatch.setattr(apart._Child, "__init__", delayed(apart._Child.__init__))
    assert np.array_equal(read_ecg(path).signal, heart())
    apart._end_child()


def delayed(start):
    """A child process that is stopped for a second as soon as it is asked for a file, as on a disk that sleeps."""

    def started(child):
        start(child)
        send = child.send

        def slow(request):
            os.kill(child.process.pid, signal.SIGSTOP)
            threading.Timer(1, os.kill, (child.process.pid, signal.SIGCONT)).start()
            send(request)
            child.send = send

        child.send = slow

    return started


def test_parquet_may_state_rate_and_unit_in_its_metadata(tmp_path):
    record = read_ecg(parquet(tmp_path / "x", LEADS, metadata={"rate": "100", "unit": "mV"}))
    assert np.array_equal(record.signal, heart())
    fields = [pa.field(lead, pa.float32(), metadata={"unit": "mV"}) for lead in LEADS]
    pq.write_table(pa.table([pa.array(row) for row in heart()], schema=pa.schema(fields)), tmp_path / "y")
    assert np.array_equal(read_ecg(tmp_path / "y", ReadOptions(rate=100)).signal, heart())


def test_nulls_in_parquet_were_not_measured(tmp_path):
    pq.write_table(pa.table({"I (uV)": pa.array([100, None, 300] * 50)}), tmp_path / "x")
    record = read_ecg(tmp_path / "x", ReadOptions(rate=100))
    assert np.isnan(record.signal[0, 1])
    assert record.signal[0, 2] == np.float32(0.3)


@pytest.mark.parametrize(
    ("columns_of", "fault"),
    [
        ({"I": pa.array(["a", "b"])}, "not numbers"),
        ({"I": pa.array([[1.0, 2.0]])}, "not numbers"),
        ({"x": pa.array([1.0, 2.0])}, "no columns of leads"),
        ({f"c{number}": pa.array([1.0]) for number in range(1100)}, "more than 1000 columns"),
    ],
)
def test_parquet_without_leads_or_numbers_is_refused(tmp_path, columns_of, fault):
    pq.write_table(pa.table(columns_of), tmp_path / "x")
    with pytest.raises(RecordError, match=fault):
        read_ecg(tmp_path / "x", SAID)


def test_a_parquet_bomb_is_refused_by_what_it_announces(tmp_path):
    """A hundred million zeros in a few kB."""
    group = pa.table({"I": pa.array(np.zeros(10_000_000, dtype=np.int8))})
    with pq.ParquetWriter(tmp_path / "x", group.schema, compression="zstd") as writer:
        for _ in range(10):
            writer.write_table(group)
    assert (tmp_path / "x").stat().st_size < 1 << 20
    began = time.process_time()
    with pytest.raises(RecordError, match=r"announces about 1.0e.08 samples"):
        read_ecg(tmp_path / "x", SAID)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_truncated_parquet_is_refused(tmp_path, share):
    path = parquet(tmp_path / "x")
    content = path.read_bytes()
    path.write_bytes(content[: max(int(len(content) * share), 8)])
    with pytest.raises(RecordError, match="damaged"):
        read_ecg(path, SAID)


def test_a_truncated_table_is_refused_where_its_last_row_is_cut(tmp_path):
    path = write_table(tmp_path / "x.csv", heart())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 - len(content) // 2 % 90 + 30])
    with pytest.raises(RecordError, match="cells where others have 13"):
        read_ecg(path)
