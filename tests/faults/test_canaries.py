"""No patient's word gets out (benchmarks/faults/canaries.py): of names, numbers, reports planted wherever hospitals put them."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import pytest

from cmelt.errors import RecordError, StoreError
from cmelt.records.readers import read_ecg
from cmelt.serving.http.loaded import Sources
from cmelt.serving.http.service import Service
from cmelt.serving.http.settings import ServiceSettings
from cmelt.store import cluster
from http_calls import in_thread
from running import cmelt

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks" / "faults"
sys.path += [str(SCRIPTS), str(SCRIPTS.parent)]
from canaries import ASKS, PARTS, figures_of, parts_of, vocabulary  # noqa: E402
from canaries import campaign as whole_campaign  # noqa: E402
from canary_archive import write_archive  # noqa: E402
from canary_commands import NAMED, NOTHING, Done, Search, fault_of, run, write_settings  # noqa: E402
from canary_requests import Ask, ask_all, ask_no_http, bad_asks, good_asks  # noqa: E402
from canary_words import FILE, REPORT, found, people, planted  # noqa: E402

PEOPLE = people(12)
CANARIES = planted(PEOPLE)
#: What the default suite runs, within this process; the slow one runs all, as processes.
STEPS = ("prepare", "prepare, pseudonyms", "prepare, torn table", "inspect", "inspect, page", "pretrain", "pretrain, misfit",
         "index", "search", "plot", "show, spoiled")  # fmt: skip


def here(step, _root, _person) -> Done:
    done = cmelt(*(1 if one == 2 else one for one in step.arguments))  # no second process to wait for
    return Done(done.returncode, done.stdout.encode(), done.stderr.encode())


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("canaries")


@pytest.fixture(scope="module")
def archive(root):
    return write_archive(root, PEOPLE)


@pytest.fixture(scope="module")
def commands(root, archive):
    """What became of the commands: the search, and by step its status and the one that it must have."""
    write_settings(root)
    search, statuses = Search(CANARIES), {}
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(root)
        for steps in parts_of(archive, root).values():
            for step in steps:
                if step.name in STEPS or step.arguments[-1] in archive.bad:
                    statuses[step.name] = (run(step, root, PEOPLE[0], search, here), step.status)
    return search, statuses


def test_commands_tell_nothing_but_what_was_asked_for(commands):
    search, statuses = commands
    assert [(leak.where, leak.kinds, leak.example) for leak in search.leaks] == []
    assert {name: status for name, status in statuses.items() if status[0] != status[1]} == {}
    assert len(statuses) == len(STEPS) + 12


def test_the_search_has_met_what_the_store_and_the_index_hold(commands):
    search, _ = commands
    told = {"store/index.parquet", "store/quarantine.jsonl", "store.html", "index/records.arrow", "search: stdout"}
    assert told <= set(search.rightly)
    assert search.rightly["store/index.parquet"] >= 12  # a word and a file's name of each of six patients


def test_of_records_with_pseudonyms_not_even_the_file_is_named(commands, root):
    content = (root / "named" / "quarantine.jsonl").read_bytes()
    assert content.count(b"\n") > 50 and not found(content, CANARIES)
    index = found((root / "named" / "index.parquet").read_bytes(), CANARIES)
    assert {CANARIES[key] for key in index} == {REPORT}


def test_no_word_of_one_patient_is_in_a_model_s_vocabulary(commands, root, archive):
    counts = vocabulary(root / "run", archive)
    assert counts["of them begun by one piece"] == 0
    assert counts["of them begun by one piece without the rule"] == counts["words of one patient"] > 0, "else nothing was shown"
    assert not found((root / "run/model/tokenizer.json").read_bytes(), CANARIES)


def test_messages_about_spoiled_files_name_the_file_and_quote_nothing_of_it(archive):
    errors = [(path, person, _error_of(path)) for path, person in archive.spoiled]
    refused = [(path, person, error) for path, person, error in errors if error is not None]
    assert len(refused) == 90
    for path, person, error in refused:
        told = "".join(traceback.format_exception(error))
        assert {key for key in found(told.encode(), CANARIES) if CANARIES[key] != FILE} == set(), (path.name, str(error))
        assert person.file in str(error)


def _error_of(path: Path) -> RecordError | None:
    try:
        read_ecg(path)
    except RecordError as error:
        return error
    return None


@pytest.fixture(scope="module")
def service(commands, root):
    inner = Service(Sources(str(root / "run"), index=root / "index", device="cpu"), ServiceSettings())
    with in_thread(inner) as asked:
        yield asked


def test_answers_tell_their_caller_what_was_asked_and_nobody_anything_else(service, archive):
    search = Search(CANARIES)
    assert set(ask_all(service, good_asks(archive, 32), search, "good")) == {200}
    assert search.leaks == [] and len(search.rightly) > 5


def test_refusals_figures_and_heads_tell_nothing(service, archive, caplog):
    search = Search(CANARIES)
    with caplog.at_level("INFO", "cmelt.serve"):
        statuses = ask_all(service, bad_asks(archive, 160), search, "bad")
        ask_no_http(service, PEOPLE[0], search)
    # A library's lines are kept back by `cmelt serve`, which this is not: the slow test has one.
    log = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("cmelt"))
    search.look("metrics", service.get("/metrics").body)
    search.look("log", log.encode())
    assert [(leak.where, leak.kinds, leak.example) for leak in search.leaks] == []
    assert all(400 <= status < 500 for status in statuses) and sum(statuses.values()) == 160
    assert "/v1/" in log, "the log was read"


def test_an_answer_that_told_would_be_found_out(service, archive):
    """The search is shown an answer to what was asked as if it were a refusal."""
    ask = next(one for one in good_asks(archive, 16) if one.path == "/v1/classify")
    search = Search(CANARIES)
    ask_all(service, [Ask(ask.method, ask.path, ask.body, ask.headers)], search, "bad")
    assert [set(leak.kinds) for leak in search.leaks] == [{REPORT}]


def test_a_dask_worker_s_log_is_given_no_message_of_a_library(monkeypatch):
    """Dask writes what a task raises into its worker's log, as it stands."""
    monkeypatch.setattr(cluster, "fault_of_sight", lambda _: "")

    def finish(_: object) -> None:
        raise ValueError(fault_of(PEOPLE[0]))

    with pytest.raises(StoreError, match="ValueError") as caught:
        cluster.finish_on_worker(None, None, finish)
    assert not found(repr(caught.value).encode() + "".join(traceback.format_exception(caught.value)).encode(), CANARIES)


def test_a_command_whose_error_was_let_through_would_be_found_out(root, archive, monkeypatch):
    """`show` of a file tells its report: searched as if it must not."""
    step = next(one for one in parts_of(archive, root)["evaluate"] if one.name == "show")
    search = Search(CANARIES)
    monkeypatch.chdir(root)
    done = here(step, root, PEOPLE[0])
    search.look("stdout", done.stdout, NOTHING)
    search.look("stdout, named", done.stdout, NAMED)
    assert [set(leak.kinds) for leak in search.leaks] == [{REPORT, FILE}, {REPORT}]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_canaries_through_every_command_and_four_hundred_requests(tmp_path):
    whom = people(143)
    assert len(planted(whom)) > 1000
    search, counts = whole_campaign(tmp_path, whom, PARTS, print)
    assert [(leak.where, leak.kinds, leak.example) for leak in search.leaks] == []
    assert counts["of another status"] == 0 and counts["of them begun by one piece"] == 0
    assert (counts["good answered"], counts["bad refused"]) == (ASKS, ASKS)
    assert all(figure.met in (True, None) for figure in figures_of(search, counts))
