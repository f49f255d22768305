"""XML within bounds, to the element and the letter; and the answers of the process that reads apart, byte by byte."""

from __future__ import annotations

import json
import os
import time

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import apart, xml_document
from cmelt.records.readers.xml_document import base64_bytes, identifier_of, number_in, parse_document, root_name, text_at

NO_ECG = "no ECG has that: check where it comes from"


def fault_of(tmp_path, content: str | bytes) -> str:
    path = tmp_path / "x.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RecordError) as caught:
        parse_document(path)
    assert caught.value.where == str(path)
    return f"{caught.value.fault} ({caught.value.remedy})"


def parsed(tmp_path, content: str | bytes):
    path = tmp_path / "x.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return parse_document(path)


def test_depth_number_and_length_are_bounded(tmp_path, monkeypatch):
    assert parsed(tmp_path, "<a>" * 100 + "</a>" * 100).tag == "a"
    assert fault_of(tmp_path, "<a>" * 101 + "</a>" * 101) == f"elements nested more than 100 deep ({NO_ECG})"
    assert parsed(tmp_path, "<a>" + "<b>" * 99 + "</b>" * 99 + "<b/>" * 500 + "</a>").tag == "a"
    monkeypatch.setattr(xml_document, "MOST_ELEMENTS", 9)
    assert len(parsed(tmp_path, "<a>" + "<b/>" * 8 + "</a>")) == 8
    assert fault_of(tmp_path, "<a>" + "<b/>" * 9 + "</a>") == f"more than 9 elements ({NO_ECG})"
    monkeypatch.undo()
    monkeypatch.setattr(xml_document, "_CHUNK", 100)
    monkeypatch.setattr(xml_document, "LONGEST_TAG", 1000)
    told = f"a tag or comment of more than a megabyte ({NO_ECG})"
    assert parsed(tmp_path, "<a><!--" + "x" * 900 + "--><b/>" + "<!--" + "x" * 900 + "--></a>").tag == "a"
    assert fault_of(tmp_path, "<a><!--" + "x" * 1400 + "--></a>") == told
    assert fault_of(tmp_path, "<a " + " ".join(f'b{number}="{number}"' for number in range(200)) + "/>") == told
    assert parsed(tmp_path, "<a>" + "x" * 5000 + "</a>").text == "x" * 5000


def test_long_texts_are_ascii(tmp_path, monkeypatch):
    monkeypatch.setattr(xml_document, "_CHUNK", 64)
    monkeypatch.setattr(xml_document, "LONGEST_PROSE", 100)
    assert parsed(tmp_path, "<a>" + "ä" * 100 + "</a>").text == "ä" * 100
    assert parsed(tmp_path, "<a>" + "x" * 500 + "</a>").text == "x" * 500
    assert parsed(tmp_path, "<a>" + "ä" * 90 + "<b/>" + "ä" * 90 + "</a>")[0].tail == "ä" * 90
    assert parsed(tmp_path, "<a><b>" + "ä" * 90 + "</b>" + "ä" * 90 + "</a>")[0].tail == "ä" * 90
    prose = f"a text of more than a megabyte that is not ASCII ({NO_ECG})"
    assert fault_of(tmp_path, "<a>" + "ä" * 300 + "</a>") == prose
    assert fault_of(tmp_path, "<a>" + "x" * 300 + "ä" + "</a>") == prose


def test_what_is_no_document_is_told_with_its_line(tmp_path):
    assert fault_of(tmp_path, "<a>\n\n<b></a>") == (
        "is not well-formed XML (see line 3: it is truncated or altered, fetch it again)"
    )
    declared = "declares entities or attributes in its DOCTYPE, which no ECG needs (check where it comes from)"
    assert fault_of(tmp_path, '<!DOCTYPE a [<!ATTLIST a b CDATA "c">]><a/>') == declared
    entities = "declares or refers to entities, which no ECG needs (check where it comes from)"
    assert fault_of(tmp_path, '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>') in (declared, entities)
    assert "is not well-formed XML" in fault_of(tmp_path, '<!DOCTYPE a SYSTEM "x.dtd"><a>&b;</a>')


def test_names_go_without_namespace_and_texts_without_margins(tmp_path):
    root = parsed(tmp_path, '<n:a xmlns:n="urn:x" n:b="1"><n:c> text\n</n:c><c>other</c><d/></n:a>')
    assert (root.tag, root.get("b"), text_at(root, "c"), text_at(root, "d"), text_at(root, "e")) == ("a", "1", "text", "", "")
    assert text_at(None, "c") == ""


@pytest.mark.parametrize(
    ("head", "name"),
    [(b"<a>", "a"), (b"<a ", "a"), (b"<a/", "a"), (b"<n:a-b.c\n", "a-b.c"), (b"<a", ""),
     (b"<?xml?><!-- x --><!DOCTYPE a><a>", "a"),
     (b"<!DOCTYPE a [ <x> ] ><a>", "a"), (b"<!DOCTYPE a", ""), (b"<?xml", ""), (b"<!-->", ""), (b"\xef\xbb\xbf<a>", "a"),
     ("<a>".encode("utf-16"), "a"), ("<?xml?><a>".encode("utf-16-be"), "a"), ("<!DOCTYPE a><a>".encode("utf-16-le"), "a"),
     (b"1<a>", "")],
)  # fmt: skip
def test_the_root_s_name_is_found_in_a_file_s_beginning(head, name):
    assert root_name(head) == name


def test_encodings_go_by_marks_before_declarations(tmp_path):
    for declared, codec, text in (
        ("koi8-r", "koi8-r", "Ж"),
        ("x-none", "utf-8", "ä"),
        ("utf-16", "utf-8", "ä"),
        ("Big5", "big5", "心"),
    ):
        content = f"<?xml version='1.0' encoding='{declared}'?><a>{text}</a>".encode(codec)
        assert parsed(tmp_path, content).text == text
    assert parsed(tmp_path, "<a>ä</a>".encode("utf-8-sig")).text == "ä"
    assert parsed(tmp_path, b" \r\n\t<a>1</a>").text == "1"


@pytest.mark.parametrize("piece", [1, 2, 3, 7])
def test_documents_are_decoded_piece_by_piece(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(xml_document, "_CHUNK", piece)
    for codec in ("utf-8", "utf-8-sig", "utf-16"):
        assert parsed(tmp_path, "\n <a>äß心 and more</a>".encode(codec)).text == "äß心 and more"
    assert parsed(tmp_path, b"<a>x</a>" + "ä".encode()[:0]).text == "x"


@pytest.mark.parametrize(
    ("text", "number"),
    [("+5", 5), ("-.5", -0.5), ("1e5", 1e5), ("1E-05", 1e-5), ("00012", 12), ("1e299", 1e299), ("1e301", None), ("-1e301", None),
     ("1e", None),
     (".", None), ("+", None), ("1,5", None), ("1 2", None), ("1e1234", None), ("5" * 301, None)],
)  # fmt: skip
def test_numbers_are_plain_and_finite(text, number):
    assert number_in(f" {text}\n") == number


def test_base64_is_read_in_lines_and_nothing_else():
    assert base64_bytes("QUJD\n RA==\t\r", "x") == b"ABCD" and base64_bytes(" \n", "x") == b""
    for wrong in ("QUJ", "QUJD!", "Q=UJD"):
        with pytest.raises(RecordError) as caught:
            base64_bytes(wrong, "x")
        assert str(caught.value) == "x: samples that are not base64 (the file is altered: fetch it again)"


def test_a_name_that_holds_the_patient_s_number_is_none(tmp_path):
    for name, patient, told in (("ecg_AB12", "ab12", ""), ("ecg_12", "12", "ecg_12"), ("ecg", "", "ecg"), ("ecg_123", "123", "")):
        assert identifier_of(tmp_path / f"{name}.xml", patient) == told


# --- answers of the process that reads apart ---


class Pipe:
    """A child whose answers are what is written into a pipe."""

    def __init__(self, content: bytes, *, ended: bool = True) -> None:
        out, into = os.pipe()
        os.write(into, content)
        if ended:
            os.close(into)
        self.held = out, None if ended else into
        self.stdin, self.stdout = None, os.fdopen(out, "rb", buffering=0)


def answer(content: bytes, *, ended: bool = True):
    child = object.__new__(apart._Child)
    child.process = Pipe(content, ended=ended)
    return child.receive(time.monotonic() + 0.2)


def told(value: object, *arrays: np.ndarray) -> bytes:
    text = json.dumps(value).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(array.tobytes() for array in arrays)


def test_an_answer_comes_back_with_its_arrays_in_their_places():
    first, second = np.arange(6, dtype="<i2").reshape(2, 3), np.array([0.5, np.nan])
    value = {"named": {"a": {"array": ["<i2", [2, 3]]}, "b": [1, {"array": ["<f8", [2]]}, {"c": None, "array": "text"}]}}
    found = answer(told(value, first, second) + b"more")["named"]
    assert found["a"].tolist() == first.tolist() and found["a"].dtype == np.int16
    np.testing.assert_array_equal(found["b"][1], second)
    assert found["b"][0] == 1 and found["b"][2] == {"c": None, "array": "text"}


@pytest.mark.parametrize(
    ("content", "error"),
    [(told([1]), ValueError), (told({"array": ["<f8", [1]]}, np.zeros(1)), ValueError),
     ((1 << 25).to_bytes(8, "little"), ValueError),
     (told({"a": {"array": ["<U1", [1]]}}), ValueError), (told({"a": {"array": ["<f8", [1 << 25]]}}), ValueError),
     (told({"a": 1})[:-1], EOFError),
     (b"", EOFError), ((5).to_bytes(8, "little") + b"12345", ValueError)],
)  # fmt: skip
def test_an_answer_that_is_none_is_an_error(content, error):
    with pytest.raises(error):
        answer(content)


def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_was_said():
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        answer(told({"a": 1})[:-1], ended=False)
    assert 0.1 < time.monotonic() - began < 5


def test_a_file_that_is_not_there_and_an_answer_of_a_fault_are_told(tmp_path, monkeypatch):
    gone = tmp_path / "gone.h5"
    with pytest.raises(RecordError) as caught:
        apart.contents_apart("hdf5", gone)
    assert str(caught.value) == f"{gone}: cannot be read: No such file or directory (check the path and its permissions)"
    gone.write_bytes(b"x")
    asked = []

    class Child:
        def __init__(self, *answers):
            self.imported, self.answers = {"hdf5"}, list(answers)

        def send(self, request):
            asked.append(request)

        def receive(self, deadline):
            asked.append(round(deadline - time.monotonic(), 1))
            one = self.answers.pop(0)
            if isinstance(one, Exception):
                raise one
            return one

    def with_answers(*answers):
        child = Child(*answers)
        monkeypatch.setattr(apart, "_running_child", lambda: child)
        return child

    with_answers({"expects": 40_000_000}, {"expects": 0}, {"named": {"a": 1}})
    assert apart.contents_apart("hdf5", gone) == {"a": 1}
    assert asked == [{"task": "hdf5", "path": str(gone)}, 1.5, 3.5, 1.5]
    asked.clear()
    child = with_answers({"fault": "is torn", "remedy": "mend it"})
    with pytest.raises(RecordError) as caught:
        apart.contents_apart("parquet", gone)
    assert str(caught.value) == f"{gone}: is torn (mend it)" and asked[1] == 60.0 and child.imported == {"hdf5", "parquet"}
    ended = []
    monkeypatch.setattr(apart, "_end_child", lambda: ended.append(1))
    again = "(fetch it again, or write the array as .npy)"
    for error, fault in ((TimeoutError(), "takes too long to read: it is damaged"), (EOFError(), "is damaged beyond reading"),
                         (OSError(), "is damaged beyond reading"), (ValueError(), "is damaged beyond reading")):  # fmt: skip
        with_answers(error)
        with pytest.raises(RecordError) as caught:
            apart.contents_apart("hdf5", gone)
        assert str(caught.value) == f"{gone}: {fault} {again}"
    assert len(ended) == 4
