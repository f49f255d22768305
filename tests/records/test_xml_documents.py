"""XML within bounds: what is recognised, what is refused, and that errors keep what files say to themselves."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from cmelt.errors import RecordError
from cmelt.records.readers import read_ecg, xml_document
from cmelt.records.readers.xml_document import base64_bytes, identifier_of, number_in, parse_document, root_name

SECRET = "MUSTERMANN-ERIKA"
BILLION_LAUGHS = (
    '<!DOCTYPE RestingECG [<!ENTITY a "haha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{"&" + chr(97 + n) + ";" * 1}{("&" + chr(97 + n) + ";") * 9}">' for n in range(9))
    + "]><RestingECG>&j;</RestingECG>"
)
HOSTILE = {
    "billion laughs": BILLION_LAUGHS,
    "quadratic blow-up": f'<!DOCTYPE r [<!ENTITY a "{"x" * 50_000}">]><RestingECG>{"&a;" * 50_000}</RestingECG>',
    "a file by entity": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><RestingECG>&x;</RestingECG>',
    "a host by entity": '<!DOCTYPE r [<!ENTITY x SYSTEM "http://127.0.0.1:9/x">]><RestingECG>&x;</RestingECG>',
    "a parameter entity": '<!DOCTYPE r [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><RestingECG/>',
    "default attributes": f'<!DOCTYPE r [<!ATTLIST a b CDATA "{"x" * 9999}">]><RestingECG>{"<a/>" * 9999}</RestingECG>',
    "an undefined entity": '<!DOCTYPE RestingECG SYSTEM "restecg.dtd"><RestingECG>&nothing;</RestingECG>',
    "nesting": "<RestingECG>" + "<a>" * 100_000 + "</a>" * 100_000 + "</RestingECG>",
    "a million elements": "<RestingECG>" + "<a/>" * 1_000_000 + "</RestingECG>",
    "a tag of megabytes": "<RestingECG " + " ".join(f'a{n}="1"' for n in range(400_000)) + "/>",
    "a comment of megabytes": "<RestingECG><!--" + "x" * 3_000_000 + "--></RestingECG>",
    "prose of megabytes": "<RestingECG>" + "\U0001f600" * 1_200_000 + "</RestingECG>",
    "two roots": "<RestingECG/><RestingECG/>",
    "no root": "<!-- nothing -->",
}


def document(tmp_path, content: str | bytes):
    path = tmp_path / "file.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_are_refused_within_a_second_and_bounded_memory(name, tmp_path):
    path = document(tmp_path, HOSTILE[name])
    parse_document(document(tmp_path / "..", "<a/>"))  # imports are not what is timed
    start = time.process_time()
    with pytest.raises(RecordError):
        parse_document(path)
    assert time.process_time() - start < 5  # a million elements take 0.3 s, or 1 s where every call is watched
    tracemalloc.start()
    with pytest.raises(RecordError):
        parse_document(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 200 << 20


@pytest.mark.parametrize("name", ["billion laughs", "a file by entity", "default attributes"])
def test_declarations_are_named_as_the_reason(name, tmp_path):
    with pytest.raises(RecordError, match=r"declares|refers to entities"):
        parse_document(document(tmp_path, HOSTILE[name]))


@pytest.mark.parametrize("name", ["billion laughs", "a file by entity", "a host by entity"])
def test_a_hostile_ecg_is_recognised_and_refused_for_what_it_is(name, tmp_path):
    with pytest.raises(RecordError, match="entities"):
        read_ecg(document(tmp_path, HOSTILE[name]))


def test_base64_in_short_lines_takes_no_more_memory_than_in_one(tmp_path):
    text = "QUJD\n" * 1_000_000
    tracemalloc.start()
    assert len(base64_bytes(text, "here")) == 3_000_000
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
    for wrong in ("QUJ", "QU!D", "QUJDä", "QU=JD"):
        with pytest.raises(RecordError, match="base64"):
            base64_bytes(wrong, "here")


def test_files_beyond_the_limit_are_refused_before_they_are_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(xml_document, "LARGEST_DOCUMENT", 1 << 20)
    with pytest.raises(RecordError, match="larger than 1 MiB"):
        parse_document(document(tmp_path, "<RestingECG>" + " " * (1 << 20)))


def test_a_plain_doctype_is_fine(tmp_path):
    root = parse_document(document(tmp_path, '<!DOCTYPE RestingECG SYSTEM "restecg.dtd">\n<RestingECG><a b="1"/></RestingECG>'))
    assert root.tag == "RestingECG" and root.find("a").get("b") == "1"


@pytest.mark.parametrize("cut", range(1, 10))
def test_truncated_documents_are_errors_without_content(cut, tmp_path):
    content = f"<RestingECG><PatientID>{SECRET}</PatientID><x y='{SECRET}'>{'text ' * 40}</x></RestingECG>".encode()
    with pytest.raises(RecordError) as raised:
        parse_document(document(tmp_path, content[: len(content) * cut // 10]))
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("wrong", [f"<a>{SECRET}</b>", f"<a {SECRET}/>", f"<{SECRET}&/>", f"<a>&{SECRET};</a>", f"{SECRET}"])
def test_errors_do_not_show_what_the_file_says(wrong, tmp_path):
    with pytest.raises(RecordError) as raised:
        parse_document(document(tmp_path, wrong))
    assert SECRET not in str(raised.value) and SECRET[:5] not in str(raised.value)


ENCODED = {
    "UTF-8": ("utf-8", "utf-8"),
    "UTF-8 with a mark": ("utf-8", "utf-8-sig"),
    "UTF-16 with a mark": ("utf-16", "utf-16"),
    "UTF-16 without": ("utf-16", "utf-16-le"),
    "UTF-16 the other way": ("utf-16", "utf-16-be"),
    "Latin-1": ("ISO-8859-1", "latin-1"),
    "Windows": ("windows-1252", "cp1252"),
    "Chinese": ("gb2312", "gb2312"),
    "declared UTF-16, saved as UTF-8": ("utf-16", "utf-8"),
    "of no encoding known": ("x-unheard-of", "utf-8"),
}


@pytest.mark.parametrize("name", ENCODED)
def test_documents_are_read_and_recognised_in_the_encodings_that_devices_write(name, tmp_path):
    declared, written = ENCODED[name]
    text = "心" if "gb" in declared else "Müller"
    content = f'<?xml version="1.0" encoding="{declared}"?>\n<a:root xmlns:a="urn:x"><a:b>{text}</a:b></a:root>'.encode(written)
    assert root_name(content[:4096]) == "root"
    assert parse_document(document(tmp_path, content)).findtext("b") == text


def test_a_byte_that_is_none_of_the_encoding_s_costs_a_letter_and_not_the_file(tmp_path):
    content = b'<?xml version="1.0" encoding="utf-8"?><a>M\xfcller</a>'
    assert parse_document(document(tmp_path, content)).text == "M\ufffdller"


def test_blank_lines_before_the_declaration_do_no_harm(tmp_path):
    content = '\n\n <?xml version="1.0"?><root/>'
    assert root_name(content.encode()) == "root"
    assert parse_document(document(tmp_path, content)).tag == "root"


PROLOGUES = {
    "declaration": '<?xml version="1.0"?>',
    "comments": "<!-- <RestingECG> --><!-- x --><?style sheet?>",
    "DOCTYPE with declarations": '<!DOCTYPE AnnotatedECG [<!ENTITY a "]x>"> <!-- ] -->\n]>',
    "plain DOCTYPE": "<!DOCTYPE AnnotatedECG PUBLIC \"-//x>//\" 'y'>",
}


@pytest.mark.parametrize("prologue", PROLOGUES.values(), ids=list(PROLOGUES))
@pytest.mark.parametrize("root", ["<AnnotatedECG>", '<AnnotatedECG xmlns="urn:x">', "<n:AnnotatedECG\n>", "<AnnotatedECG/>"])
def test_the_root_is_found_behind_what_may_come_before_it(prologue, root):
    assert root_name((prologue + "\n" + root).encode()) == "AnnotatedECG"


@pytest.mark.parametrize(
    "head",
    [b"", b"<", b"text", b"<!--", b"<?xml", b"<!DOCTYPE a [", b"<AnnotatedECG", b"\x00" * 64, b"<!--" + b"x" * 4096 + b"--><r/>"],
)
def test_no_root_in_sight_is_not_recognised(head):
    assert root_name(head[:4096]) == ""


@pytest.mark.parametrize(("text", "number"), [("5", 5), ("-1.5e-2", -0.015), (" .5 ", 0.5), ("5.", 5)])
def test_numbers_are_read(text, number):
    assert number_in(text) == number


@pytest.mark.parametrize("text", ["", "nan", "inf", "1_000", "5 mV", "١٢", "9" * 400, "1e999", "0x10"])
def test_what_is_no_finite_number_is_none(text):
    assert number_in(text) is None


def test_a_record_is_not_named_by_the_patient_s_number(tmp_path):
    assert identifier_of(tmp_path / "ecg_97082525_1.xml", "97082525") == ""
    assert identifier_of(tmp_path / "MUSE_20080710.xml", "97082525") == "MUSE_20080710"
