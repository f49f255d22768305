"""What workers of a cluster answer, and what is told of it: a client that answers as it is told, and workers in this process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cmelt import __version__
from cmelt.errors import RecordError, StoreError
from cmelt.sources.source import Entry, Listing
from cmelt.store import ShardSettings
from cmelt.store.cluster import (
    Probe,
    _check_workers,
    _news,
    _probe_of,
    _threads,
    fault_here,
    fault_of_sight,
    finish_on_worker,
    run_on_dask,
)
from cmelt.store.shard import Finished, ShardTask
from cmelt.store.workers import IN_FLIGHT
from listed_records import Listed
from refusals import refused

pytest.importorskip("distributed")

ADDRESS = "tcp://there:8786"
RERUN = "start it again, then run the same command: finished shards are kept"
SHARE = "start the workers where source and store are mounted, under the same path, and give absolute paths"
INSTALL = f"install cmelt {__version__} on every worker"
LOST = "the Dask scheduler was lost"


def listed(**stamps: str) -> Listed:
    return Listed(Listing(tuple(Entry(f"r{number}", f"p{number}") for number in range(9))), {}, stamps=stamps)


def task_of(folder: Path, number: int = 0, source: Listed | None = None) -> ShardTask:
    source = source or listed()
    entries = tuple(source.entries().entries)
    return ShardTask(number, entries[: number + 2], ShardSettings(100.0, 10.0, "first", "key"), source, str(folder))


@pytest.fixture
def probe(tmp_path: Path) -> Probe:
    """Of a task whose entries are all seen."""
    return _probe_of(task_of(tmp_path / "s", 7, listed(p0="zero", p2="two", p3="three")))


@dataclass
class Client:
    """Answers one question after another: with a mapping, or with an error; a function is asked as a worker would be."""

    answers: list[Any]
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    def run(self, question: Any, *arguments: Any) -> Mapping[str, Any]:
        self.asked.append((question, *arguments))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {worker: question(*arguments) if found is Ellipsis else found for worker, found in answer.items()}


def test_what_a_worker_must_see_is_a_token_in_the_folder_and_the_first_three_entries(probe, tmp_path):
    assert probe.folder == str(tmp_path / "s") and probe.path.read_text() == probe.token and len(probe.token) == 32
    assert [(entry.record, stamp) for entry, stamp in probe.seen] == [("r0", "zero"), ("r1", ""), ("r2", "two")]
    assert _probe_of(task_of(tmp_path / "s")).token != probe.token


def test_each_thing_that_a_process_does_not_see_is_told(probe):
    def told(**stamps: str) -> str:
        return fault_of_sight(Probe(probe.token, probe.folder, listed(**stamps), probe.seen))

    seen = {"p0": "zero", "p2": "two"}
    assert told(**seen) == told(**seen, p3="another, which nobody looks at") == ""
    for wrong in ({"p0": "zero"}, seen | {"p1": "later"}, seen | {"p2": "Two"}):
        assert told(**wrong) == "does not see the source's files as they are here"
    probe.path.write_text("another")
    assert told(**seen) == "sees another folder under the staging folder's path"
    probe.path.unlink()
    assert told(**seen) == "does not see the staging folder (No such file or directory)"


def test_a_worker_that_cannot_write_is_told_and_one_that_can_leaves_its_answer(probe, monkeypatch):
    from cmelt.store import cluster

    assert (fault_here(probe), fault_here(probe)) == ("", "")
    answers = [path for path in Path(probe.folder).iterdir() if path != probe.path]
    assert len(answers) == 2 and all(path.name.startswith(f"answer-{probe.token}-") for path in answers)
    assert all(path.name.endswith(".part") and path.read_text() == probe.token for path in answers)

    def full(*_: object) -> None:
        raise StoreError("there", "cannot be written: No space left on device", "make room")

    monkeypatch.setattr(cluster, "write_synced", full)
    assert fault_here(probe) == "cannot write into the staging folder (cannot be written: No space left on device)"
    probe.path.write_text("another")
    assert fault_here(probe) == "sees another folder under the staging folder's path"


def test_workers_that_see_everything_may_work_and_their_answers_are_cleared_away(probe):
    client = Client([{"a": ..., "b": ...}, {"a": ..., "b": ...}])
    _check_workers(client, probe)
    assert client.asked[1] == (fault_here, probe) and len(client.asked) == 2
    assert list(Path(probe.folder).iterdir()) == [probe.path]


@pytest.mark.parametrize(("version", "told"), [("9.9.9", "has cmelt 9.9.9"), (None, "has no cmelt")])
def test_the_version_that_a_worker_has_is_told_before_it_is_asked_anything_else(probe, version, told):
    client = Client([{"tcp://a": __version__, "tcp://b": version}])
    with refused("worker tcp://b", f"{told}, this is {__version__}", f"install cmelt {__version__} there"):
        _check_workers(client, probe)


def test_a_worker_without_cmelt_answers_that_it_has_none(probe, monkeypatch):
    import importlib

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with refused("worker a", f"has no cmelt, this is {__version__}", f"install cmelt {__version__} there"):
        _check_workers(Client([{"a": ...}]), probe)


def test_what_one_of_the_workers_does_not_see_is_told_with_its_name(probe):
    client = Client([{"a": ..., "b": ...}, {"a": "", "b": "does not see it"}])
    with refused("worker b", "does not see it", SHARE):
        _check_workers(client, probe)


def test_a_worker_that_writes_into_another_folder_of_that_name_is_found_out(probe):
    """Each sees a copy of the token and writes beside it, somewhere else: nothing of it comes here."""
    with refused(probe.folder, "what 2 workers wrote into it is not here", SHARE):
        _check_workers(Client([{"a": ..., "b": ..., "c": ...}, {"a": "", "b": "", "c": ...}]), probe)


def test_workers_that_cannot_answer_are_told(probe):
    with refused("a worker", "lacks numpy", INSTALL):
        _check_workers(Client([ModuleNotFoundError("No module named 'numpy'", name="numpy")]), probe)
    with refused("a worker", "was lost while it was checked", RERUN):
        _check_workers(Client([{"a": ...}, OSError("closed")]), probe)


def future(status: str, answer: Any = None) -> SimpleNamespace:
    def result() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return SimpleNamespace(status=status, result=result)


def test_news_of_a_shard_is_what_its_worker_says():
    assert _news(future("finished", Finished(3, 4, False)), ADDRESS) == Finished(3, 4, False)
    for status in ("cancelled", "lost", "pending"):
        with refused(ADDRESS, LOST, RERUN):
            _news(future(status, Finished(3, 4, False)), ADDRESS)


def test_what_went_wrong_on_a_worker_is_told_with_what_to_do():
    from distributed import KilledWorker

    with refused("files/x", "is broken", "mend it", RecordError):
        _news(future("error", RecordError("files/x", "is broken", "mend it")), ADDRESS)
    with refused(ADDRESS, "a worker lacks scipy", INSTALL):
        _news(future("error", ImportError("no scipy", name="scipy")), ADDRESS)
    fault = "a worker could not go on (PermissionError: Permission denied)"
    with refused(ADDRESS, fault, "see its log; run the same command again: finished shards are kept"):
        _news(future("error", PermissionError(13, "Permission denied")), ADDRESS)
    with pytest.raises(ConnectionError, match="gone"):  # not the worker's: the way to it is lost, which is told elsewhere
        _news(future("finished", ConnectionError("gone")), ADDRESS)
    remedy = "see the workers' logs; give them more memory, or fewer threads"
    with refused(ADDRESS, "a shard ended every worker that tried it", remedy):
        _news(future("error", KilledWorker("shard", None, 3)), ADDRESS)


def test_a_worker_tells_nothing_of_what_a_library_says(probe, tmp_path):
    def stumble(_: object) -> Finished:
        raise ValueError("Doe, Jane")

    with pytest.raises(StoreError) as told:
        finish_on_worker(task_of(tmp_path), probe, stumble)
    assert (told.value.where, told.value.remedy) == ("a worker", "report it; finished shards are kept")
    assert told.value.fault.startswith("failed with ValueError") and "Jane" not in str(told.value)


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ImportError("x"), MemoryError(), RecordError("a", "b")])
def test_what_ends_a_worker_s_work_for_good_reasons_is_passed_on_as_it_is(probe, tmp_path, error):
    def stop(_: object) -> Finished:
        raise error

    with pytest.raises(type(error)) as told:
        finish_on_worker(task_of(tmp_path), probe, stop)
    assert told.value is error


def test_a_worker_that_lost_sight_of_the_files_does_not_begin(probe, tmp_path):
    tried: list[object] = []
    assert finish_on_worker(task_of(tmp_path), probe, lambda task: Finished(task.number, 0, False)) == Finished(0, 0, False)
    probe.path.unlink()
    with refused("a worker", "does not see the staging folder (No such file or directory)", SHARE):
        finish_on_worker(task_of(tmp_path), probe, tried.append)
    assert not tried


def test_a_cluster_without_a_worker_is_given_one_task_at_a_time_since_others_may_come():
    for threads, counted in (({}, 1), ({"a": 1}, 1), ({"a": 2, "b": 3}, 5)):
        assert _threads(SimpleNamespace(nthreads=lambda threads=threads: threads)) == counted


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler and a worker of two threads, all in this process."""
    from distributed import LocalCluster

    folder = str(tmp_path_factory.mktemp("workers"))
    with LocalCluster(1, threads_per_worker=2, processes=False, dashboard_address=None, local_directory=folder) as cluster:
        yield cluster.scheduler_address


def finish(task: ShardTask) -> Finished:
    time.sleep(0.01)
    return Finished(task.number, len(task.entries), task.number % 2 == 0)


def test_every_task_is_done_once_and_none_is_taken_up_before_somebody_is_about_to_do_it(here, tmp_path):
    taken: list[int] = []

    def tasks() -> Iterator[ShardTask]:
        for number in range(7):
            taken.append(number)
            yield task_of(tmp_path, number)

    news = []
    for finished in run_on_dask(tasks(), here, 1, finish):
        assert len(taken) - len(news) <= IN_FLIGHT * 2
        assert len(taken) >= min(7, IN_FLIGHT * 2)
        news.append(finished)
    assert sorted(news, key=lambda one: one.number) == [Finished(n, n + 2, n % 2 == 0) for n in range(7)]
    again = list(run_on_dask(iter([task_of(tmp_path, 3)]), here, 1, finish))  # the same task once more is no repetition
    assert again == [Finished(3, 5, False)]


def refuse(task: ShardTask) -> Finished:
    raise StoreError(f"shard {task.number}", "is not to be made", "leave it")


def test_what_a_task_ends_with_ends_the_whole(here, tmp_path):
    with refused("shard 5", "is not to be made", "leave it"):
        list(run_on_dask(iter([task_of(tmp_path, 5)]), here, 1, refuse))
