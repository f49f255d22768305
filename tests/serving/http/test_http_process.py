"""A real service in a process of its own, asked by strangers: real files, many at once, canaries, and its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import cmelt
from cmelt.records.record import LEADS
from cmelt.serving.http.private_folder import private_folder
from cmelt.serving.notice import NOTICE
from ecg_files import heart, record, write_wfdb
from http_calls import SOURCE, Service, files_at, form, process

REAL = {
    "GE MUSE XML": ("vendor-formats/ge-muse-xml/muse-sinus.xml",),
    "DICOM": ("vendor-formats/dicom-ecg/waveform_ecg.dcm",),
    "HL7 aECG": ("vendor-formats/hl7-aecg/subject1_0.xml",),
    "Philips XML": ("vendor-formats/philips-sierra-xml/129DYPRG.XML",),
    "MATLAB": ("vendor-formats/cpsc2018-mat/A1980.mat",),
    "WFDB, 500 Hz": ("ptb-xl/records500/00000/00001_hr.hea", "ptb-xl/records500/00000/00001_hr.dat"),
    "WFDB of the Challenge": ("challenge-2021/chapman-ningbo/JS00001.hea", "challenge-2021/chapman-ningbo/JS00001.mat"),
}
OWN = "atrial fibrillation\nleft bundle branch block"


@pytest.fixture(scope="module")
def loaded(model_folder):
    return cmelt.load(model_folder, device="cpu")


@pytest.mark.parametrize("kind", REAL)
def test_a_real_file_gets_the_scores_and_the_vector_that_python_gives(asked, data_dir, loaded, kind):
    paths = [data_dir / place for place in REAL[kind]]
    classes = cmelt.typed_lines(OWN.split("\n"))
    expected = cmelt.classify(*loaded, paths[0], classes)
    answer = asked.upload("/v1/classify", files_at(*paths), prompts=OWN)
    assert answer.status == 200, answer.body
    told = answer.json
    assert {one["class"]: pytest.approx(one["score"], abs=1e-5) for one in told["results"]} == expected.of(0)
    assert [one["class"] for one in told["results"]] == list(expected.of(0))
    assert (told["notice"], told["scoring"], told["flags"]) == (NOTICE, "contrast", list(expected.records[0].flags))
    vector = asked.upload("/v1/embed", files_at(*paths)).json["embedding"]
    np.testing.assert_allclose(vector, cmelt.embed(*loaded, paths[0])[0], atol=1e-5)


@pytest.mark.parametrize("kind", REAL)
def test_a_real_file_comes_back_as_its_own_millivolts(asked, data_dir, kind):
    paths = [data_dir / place for place in REAL[kind]]
    answer = asked.upload("/v1/ecg", files_at(*paths))
    assert (answer.status, answer.headers["content-type"]) == (200, "application/vnd.cmelt.ecg")
    length = struct.unpack_from("<I", answer.body)[0]
    head = json.loads(answer.body[4 : 4 + length])
    steps = np.frombuffer(answer.body[4 + length :], "<i2").reshape(len(head["leads"]), head["samples"])
    expected = cmelt.read_ecg(paths[0])
    for lead, row in zip(expected.leads, expected.signal, strict=True):
        drawn = steps[head["leads"].index(lead)] * (head["microvolts_per_step"] / 1000)
        np.testing.assert_allclose(drawn, row[: head["samples"]], atol=head["microvolts_per_step"] / 1900)
    assert head["facts"]["seconds"] == pytest.approx(head["samples"] / head["rate"])
    assert head["facts"]["age"] == expected.age and head["facts"]["sex"] == expected.sex


def test_json_and_the_canonical_form_give_the_same_scores_as_the_file(asked, tmp_path):
    header = write_wfdb(tmp_path / "r", heart(4))
    by_file = asked.upload("/v1/classify", files_at(header, header.with_suffix(".dat")), classes="normal-ecg").json["results"]
    signal = np.rint(heart(4) * 1000).tolist()
    body = {"signal": signal, "leads": list(LEADS), "rate": 100, "unit": "uV", "classes": ["normal-ecg"]}
    by_json = asked.post("/v1/classify", body).json["results"]
    drawn = asked.upload("/v1/ecg", files_at(header, header.with_suffix(".dat"))).body
    kind = {"Content-Type": "application/vnd.cmelt.ecg"}
    by_canonical = asked.ask("POST", "/v1/classify?classes=normal-ecg", drawn, kind).json["results"]
    assert by_json[0]["score"] == pytest.approx(by_file[0]["score"], abs=1e-5)
    assert by_canonical[0]["score"] == pytest.approx(by_file[0]["score"], abs=1e-5)


def test_examples_are_listed_are_the_same_every_time_and_can_be_classified(asked):
    names = [one["name"] for one in asked.get("/v1/examples").json["examples"]]
    assert "normal" in names and "atrial-fibrillation" in names
    first = asked.get("/v1/examples/normal")
    assert first.status == 200 and first.body == asked.get("/v1/examples/normal").body
    answer = asked.upload("/v1/classify", [("ecg.cmelt", first.body)], task="ptbxl-super")
    assert len(answer.json["results"]) == 5 and answer.json["facts"]["rate"] == 500
    assert asked.get("/v1/examples/nothing").status == 404


def test_what_can_be_asked_is_listed(asked):
    told = asked.get("/v1/tasks").json
    assert "MI" in told["tasks"]["ptbxl-super"] and "atrial-fibrillation" in told["statements"]


def test_fifty_at_once_get_each_their_own_answer_and_share_batches(asked, loaded):
    records = [record(seed, seconds=10.0 + 10.0 * (seed % 2)) for seed in range(50)]
    expected = cmelt.classify(*loaded, records, ["atrial-fibrillation"]).values[:, 0]

    def ask(one: cmelt.Record) -> float:
        body = {"signal": one.signal.tolist(), "leads": list(LEADS), "rate": 100, "unit": "mV"}
        answer = asked.post("/v1/classify?classes=atrial-fibrillation", body)
        assert answer.status == 200, answer.body
        return answer.json["results"][0]["score"]

    before = figures(asked)
    with ThreadPoolExecutor(50) as clients:
        found = list(clients.map(ask, records))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    after = figures(asked)
    batches = after["cmelt_batch_requests_count"] - before["cmelt_batch_requests_count"]
    assert after["cmelt_batch_requests_sum"] - before["cmelt_batch_requests_sum"] == 50 and batches < 50
    end = time.monotonic() + 5  # the last answers are out a moment before their places are free
    while figures(asked)["cmelt_requests_inside"] and time.monotonic() < end:
        time.sleep(0.01)
    assert figures(asked)["cmelt_requests_inside"] == 0


def figures(service: Service) -> dict[str, float]:
    lines = [line for line in service.get("/metrics").body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


CANARY = "Zqcanaryzq"


def hostile_requests(asked: Service, header: bytes, data: bytes) -> list:
    """Answers to requests that carry the canary wherever one can be put."""
    renamed = header.replace(b"r.dat", f"{CANARY}.dat".encode())
    bad_unit = header.replace(b"/mV", f"/{CANARY}".encode())
    bad_rate = header.replace(b"12 100 ", f"12 {CANARY} ".encode())
    told = header + f"# <name>: {CANARY}\n# Name: {CANARY}\n".encode()
    body = {"signal": [[0.0] * 10] * 2, "leads": [CANARY, CANARY], "rate": 100, "unit": "mV"}
    json_kind = {"Content-Type": "application/json"}
    return [
        asked.upload("/v1/classify", [("r.hea", told), (f"{CANARY}.dat", data)]),
        asked.upload("/v1/classify", [("r.hea", renamed), ("r.dat", data)]),
        *(asked.upload("/v1/classify", [("r.hea", content), ("r.dat", data)]) for content in (bad_unit, bad_rate)),
        asked.upload("/v1/classify", [(f"{CANARY}.txt", CANARY.encode() * 99)]),
        asked.upload("/v1/classify", [(f"{CANARY}.csv", f"I,II\n1,{CANARY}\n2,3\n".encode())]),
        asked.upload("/v1/classify", [(f"{CANARY}.xml", f"<RestingECG><{CANARY}>".encode())]),
        asked.upload("/v1/classify", [("r.hea", header), (f"{CANARY} x.dat", data)]),
        asked.upload("/v1/classify", [("r.hea", header), ("r.dat", data)], **{CANARY: "1"}),
        asked.upload("/v1/classify", [("r.hea", header), ("r.dat", data)], classes=CANARY),
        asked.upload("/v1/classify", [("r.hea", header), ("r.dat", data)], task=f"/x/{CANARY}.yaml"),
        asked.upload("/v1/search", text="x", label=CANARY),
        asked.upload("/v1/search", text="x", sex=CANARY, age=CANARY),
        asked.post("/v1/classify", body),
        asked.post("/v1/classify", {**body, "unit": CANARY}),
        asked.post("/v1/classify", {**body, "signal": [[CANARY] * 10] * 2}),
        asked.post("/v1/classify", {**body, CANARY: CANARY}),
        asked.post("/v1/classify", f'{{"signal": {CANARY}'.encode()),
        asked.post(f"/v1/classify?name={CANARY}", body),
        asked.ask("POST", "/v1/classify", CANARY.encode(), {"Content-Type": f"text/{CANARY}"}),
        asked.ask("POST", "/v1/classify", CANARY.encode(), {"Content-Type": f"multipart/form-data; boundary={CANARY}"}),
        asked.get(f"/v1/examples/{CANARY}"),
        asked.get(f"/v1/index/{CANARY}"),
        asked.get(f"/{CANARY}/{CANARY}.html?{CANARY}"),
        asked.get("/", Host=CANARY),
        asked.get("/", Origin=f"https://{CANARY}"),
        asked.ask(CANARY.upper(), "/v1/classify", b"", json_kind),
    ]


def test_nothing_that_a_request_says_is_in_a_refusal_a_figure_or_the_log(running, asked, tmp_path):
    header = write_wfdb(tmp_path / "r", heart(5))
    answers = hostile_requests(asked, header.read_bytes(), header.with_suffix(".dat").read_bytes())
    assert [answer.status for answer in answers if not 400 <= answer.status < 500 or not answer.error] == []
    for answer in answers:
        assert CANARY.lower() not in (str(answer.headers) + answer.body.decode()).lower()
    good = asked.upload(f"/v1/classify?prompts={CANARY}", files_at(header, header.with_suffix(".dat")))
    assert good.json["results"][0]["class"] == CANARY  # an answer may say what was asked; nothing else may
    for place in (asked.get("/metrics").body.decode(), running.log.read_text()):
        assert CANARY.lower() not in place.lower()
    assert "POST /v1/classify 200" in running.log.read_text()


def test_a_record_without_any_signal_is_drawn_and_not_scored(asked):
    flat = {"signal": [[0.0] * 1000] * 12, "leads": list(LEADS), "rate": 100, "unit": "mV"}
    drawn = asked.post("/v1/ecg", flat)
    assert drawn.status == 200 and b'"flat:V6"' in drawn.body
    refused = asked.post("/v1/classify", flat)
    assert refused.status == 422 and "no usable lead" in refused.error["reason"]


def test_two_leads_of_a_minute_at_250_hz_are_scored_and_told(asked):
    one = record(6, rate=250.0, seconds=60.0, leads=("I", "II"))
    told = asked.post("/v1/classify", {"signal": one.signal.tolist(), "leads": ["I", "II"], "rate": 250, "unit": "mV"}).json
    assert (told["facts"]["windows"], told["facts"]["seconds"]) == (6, 60.0)
    assert told["facts"]["missing_leads"] == list(LEADS[6:]) and told["facts"]["derived"] == ["III", "aVR", "aVL", "aVF"]


def test_nothing_uploaded_is_left_on_disk(running):
    (folder,) = running.temporary.glob("cmelt-serve-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == ["lock"]
    assert [path for path in running.temporary.iterdir() if path != folder] == []


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == pid:
            found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def gone(pids: list[int]) -> bool:
    end = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


def test_told_to_end_it_answers_what_is_inside_and_leaves_nothing(model_folder, tmp_path):
    header = write_wfdb(tmp_path / "r", heart(7))
    body, kind = form(files_at(header, header.with_suffix(".dat")), classes="normal-ecg")
    with process(tmp_path / "service", "--model", model_folder) as found:
        with socket.create_connection(("127.0.0.1", found.service.port)) as slow:
            head = f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
            slow.sendall(head.encode() + body[:100])
            time.sleep(0.3)  # it is inside now
            found.running.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            slow.sendall(body[100:])
            slow.settimeout(30)
            answer = b""
            while part := slow.recv(1 << 16):
                answer += part
        assert answer.startswith(b"HTTP/1.1 200 OK") and b'"normal-ecg"' in answer
        assert found.running.wait(20) == 0
        assert list(found.temporary.iterdir()) == []
        with pytest.raises(OSError, match="refused"):
            found.service.get("/healthz")


def test_killed_it_leaves_no_process_and_what_it_leaves_on_disk_the_next_removes(model_folder, tmp_path, monkeypatch):
    np.savez(tmp_path / "ecg.npz", signal=heart(8), fs=100, units="mV", leads=list(LEADS))
    import h5py

    with h5py.File(tmp_path / "ecg.h5", "w") as file:  # read in a process of its own
        file["signal"] = heart(8)
        file.attrs.update({"fs": 100, "units": "mV", "leads": list(LEADS)})
    with process(tmp_path / "service", "--model", model_folder) as found:
        assert found.service.upload("/v1/embed", files_at(tmp_path / "ecg.h5")).status == 200
        own = children(found.running.pid)
        assert own
        found.running.kill()
        found.running.wait(10)
        assert gone(own)
        (left,) = found.temporary.iterdir()
        monkeypatch.setattr("tempfile.tempdir", str(found.temporary))
        with private_folder() as mine, private_folder() as nested:
            assert not left.exists() and mine.exists() and nested.exists() and nested.parent == mine
        assert os.listdir(found.temporary) == []


def test_openapi_names_every_address_with_examples_and_refusals(asked):
    told = asked.get("/openapi.json").json
    assert {"/v1/classify", "/v1/embed", "/v1/ecg", "/v1/examples", "/v1/examples/{name}", "/v1/search", "/v1/index/{row}",
            "/healthz", "/readyz", "/metrics"} <= set(told["paths"])  # fmt: skip
    asking = told["paths"]["/v1/classify"]["post"]
    kinds = asking["requestBody"]["content"]
    assert set(kinds) == {"multipart/form-data", "application/json", "application/vnd.cmelt.ecg"}
    assert {"413", "415", "422", "429", "503"} <= set(asking["responses"])
    assert {"prompts", "classes", "task"} <= {one["name"] for one in asking["parameters"]}
    example = kinds["application/json"]["example"]
    shown = {**example, "signal": heart(9)[:2].tolist(), "rate": 100}
    assert asked.post("/v1/classify", shown).status == 200  # the example's form is one that is taken


def test_another_method_or_address_says_so(asked):
    assert asked.get("/v1/classify").status == 405
    assert asked.ask("POST", "/v1/examples", b"").status == 405
    assert asked.get("/nothing").status == 404
    for path in ("/../pyproject.toml", "/%2e%2e/http/app.py", "/http/app.py", "/..%2f..%2fengine.py"):
        assert asked.get(path).status == 404


def test_the_collector_leaves_alone_what_was_loaded(model_folder, tmp_path):
    """A search through all of it stops every thread for long."""
    counting = "import atexit, gc, sys\natexit.register(lambda: print('left alone:', gc.get_freeze_count(), file=sys.stderr))\n"
    (tmp_path / "sitecustomize.py").write_text(counting)
    with process(tmp_path / "service", "--model", model_folder, PYTHONPATH=f"{tmp_path}:{SOURCE}") as found:
        assert found.end() == 0
        count = int(found.log.read_text().partition("left alone:")[2].split()[0])
    assert count > 100_000
