"""Preparations that are killed, find the disk full, meet another one, or lose their source, many times over.

Each function strikes trial number `number`, whose draws are its own, and returns a `Tally`; tests ask for a few,
`benchmarks/faults/preparation_faults.py` for all.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

import numpy as np
from full_disk import on_a_disk
from preparation_runs import PATIENCE, RECORDS, SHARD, Bench, Ended, Running, Trial, file_of, tree_of, tree_or_fault
from tally import Tally

from cmelt.errors import SourceError, StoreError
from cmelt.sources.folder import Folder
from cmelt.store import ShardSettings, prepare_store
from dask_cluster import SOURCE_PATH, cluster

SEED = 77
SHARDS = RECORDS // SHARD
#: Kinds of changes: a file of a record, the table, the folder; and whether the record that changes must be a CSV.
OF_A_FILE = ("rewritten", "grown", "cut", "swapped", "removed")
OF_THE_LIST = ("row added", "patient changed", "table removed", "all gone")


def drawn(part: int, number: int) -> np.random.Generator:
    """The draws of a trial."""
    return np.random.default_rng([SEED, part, number])


def killed_at(bench: Bench, event: str, number: int, at: int) -> Tally:
    """SIGKILL at event `at` of the main process; every second time with an old store in the place, to be replaced."""
    tally, trial = Tally(f"SIGKILL at a {event}"), bench.trial(f"{event}-{number}", replacing=number % 2 == 1)
    ended = trial.run(trial.strike(event, at))
    faults = [] if ended.code == -9 else [f"ended with {ended.code}: {ended.said[-200:]}"]
    faults += trial.faults_of_state() + trial.processes()
    tally.add(f"{event} {at}", faults + trial.resumed())
    return tally


def events_of(bench: Bench, event: str) -> int:
    """How many of these events a preparation goes through, with two workers where they are theirs."""
    trial = bench.trial(f"counted-{event}")
    trial.run(trial.strike(event, 0), *(("--workers", "2") if event == "worker" else ()))
    return int(trial.strike(event, 0).counted.read_text())


def killed_with_workers(bench: Bench, number: int) -> Tally:
    """SIGKILL of the main process while two workers are at it: they go with it; run again at once, with two workers."""
    tally, rng = Tally("SIGKILL of the main process with workers"), drawn(1, number)
    trial, shards = bench.trial(f"workers-{number}", replacing=number % 2 == 1), int(rng.integers(0, SHARDS))
    process = trial.start(None, "--workers", "2")
    _wait_for(trial, shards, process)
    time.sleep(float(rng.uniform(0, 0.1)))
    struck = process.poll() is None
    process.kill()
    ended = trial.ended(process)
    faults = ([] if struck else [f"ended with {ended.code} before"]) + trial.faults_of_state()
    at_once = number % 4 < 2
    faults += [] if at_once else trial.processes()
    tally.add(f"after {shards} shards", faults + trial.resumed("--workers", "2") + trial.processes())
    return tally


def killed_worker(bench: Bench, number: int, lines: int) -> Tally:
    """SIGKILL of a worker at a line of its shards: the command says so, nothing is published, run again it is whole."""
    tally, rng = Tally("SIGKILL of a worker"), drawn(2, number)
    trial, at = bench.trial(f"worker-{number}", replacing=number % 2 == 1), int(rng.integers(1, lines))
    ended = trial.run(trial.strike("worker", at), "--workers", "2")
    faults = said_so(ended, "a worker process died") + trial.faults_of_state() + trial.processes()
    tally.add(f"line {at}", faults + trial.resumed("--workers", "2"))
    return tally


def killed_on_dask(bench: Bench, number: int, who: str) -> Tally:
    """On a Dask cluster of two workers: SIGKILL of the "scheduler", of a "worker", of the "client", or of a "local" cluster's."""
    tally, rng = Tally(f"Dask: SIGKILL of the {who}"), drawn(3, number)
    trial, shards = bench.trial(f"dask-{who}-{number}", replacing=number % 2 == 1), int(rng.integers(1, SHARDS - 1))
    if who == "local":
        ended = _struck(trial, shards, lambda process: process.kill(), "--dask", "local", "--workers", "2")
        faults = [] if ended.code == -9 else [f"ended with {ended.code}"]
        tally.add(f"after {shards} shards", faults + trial.faults_of_state() + trial.processes() + trial.resumed())
        return tally
    place = bench.folder / f"cluster-{who}-{number}"
    with cluster(place, SOURCE_PATH, SOURCE_PATH) as there:
        victims: dict[str, Callable[[Running], None]] = {
            "scheduler": lambda _: there.scheduler.kill(),
            "worker": lambda _: there.workers[0].send_signal(signal.SIGKILL),
            "client": lambda process: process.kill(),
        }
        ended = _struck(trial, shards, victims[who], "--dask", there.address)
        if who == "worker":
            faults = [] if ended.code == 0 else [f"ended with {ended.code}: {ended.said[-200:]}"]
            tally.add(f"after {shards} shards", faults + trial.faults_of_end())
            return tally
        faults = said_so(ended, "the Dask scheduler was lost") if who == "scheduler" else []
        faults += trial.faults_of_state()
        if who == "client":  # its shards may still be in the making there
            faults += trial.resumed("--dask", there.address)
    tally.add(f"after {shards} shards", faults + (trial.resumed() if who == "scheduler" else []))
    return tally


def _struck(trial: Trial, shards: int, strike: Callable[[Running], None], *more: str) -> Ended:
    """The command's end, after `strike` was called when so many shards were finished."""
    process = trial.start(None, *more)
    _wait_for(trial, shards, process)
    strike(process)
    return trial.ended(process)


def _wait_for(trial: Trial, shards: int, process: Running) -> None:
    while process.poll() is None and len(list(trial.receipts.glob("*.json"))) < shards:
        time.sleep(0.002)


def said_so(ended: Ended, words: str) -> list[str]:
    """What is wrong with a refusal: it ends with 1, in one line of ours with these words, and no traceback."""
    lines = [line for line in ended.said.splitlines() if line.startswith("cmelt: ")]
    if ended.code == 1 and len(lines) == 1 and words in lines[0] and "Traceback" not in ended.said:
        return []
    return [f"ended with {ended.code}: {ended.said[-300:]}"]


def disk_full(bench: Bench, number: int, limits: str) -> Tally:
    """On a disk of this many kilobytes, or inodes, more than what lies there: a clear error; with room, the whole."""
    tally = Tally("disk full")
    trial = bench.trial(f"full-{number}")
    old = bench.old if number % 2 else None
    command = trial.command(*(("--force",) if old else ()))
    before = tree_of(old) if old else {}
    full, roomy = on_a_disk(limits, trial.place, command, trial.environment(), old)
    ended = Ended(int(str(full["code"])), str(full["said"]))
    faults = said_so(ended, "No space left on device") + ([] if "make room" in ended.said else ["no remedy"])
    faults += [] if full["files"] == before else ["the old store was touched" if old else "something is there"]
    faults += [f"drafts left: {full['drafts']}"] if full["drafts"] else []
    faults += [] if roomy["code"] == 0 else [f"with room it ended with {roomy['code']}: {str(roomy['said'])[-200:]}"]
    faults += [] if roomy["files"] == bench.whole and roomy["names"] == ["out"] else ["with room it is not the undisturbed store"]
    tally.add(limits, faults)
    return tally


def two_at_once(bench: Bench, number: int) -> Tally:
    """A second preparation of one place, begun with the first or while it works: it refuses, and one whole store is there."""
    tally, rng = Tally("two preparations of one place"), drawn(4, number)
    trial = bench.trial(f"both-{number}", replacing=number % 3 == 2)
    first = trial.start()
    if number % 2:
        _wait_for(trial, int(rng.integers(0, SHARDS)), first)
    log = bench.folder / f"both-{number}.other"
    with log.open("wb") as stream:
        second = subprocess.Popen(trial.command(), env=trial.environment(), stdout=stream, stderr=stream)
    codes = [trial.ended(first).code, second.wait(PATIENCE)]
    said = [trial.said.read_text(), log.read_text()]
    faults = [] if 0 in codes else [f"ended with {codes}: {said[0][-150:]} {said[1][-150:]}"]
    for code, words in zip(codes, said, strict=True):
        why = "another process is writing there" in words or "exists already" in words
        faults += [] if code == 0 or (code == 1 and why and "Traceback" not in words) else [f"{code}: {words[-200:]}"]
    tally.note("refused", float(1 in codes))
    tally.add(f"second {'later' if number % 2 else 'at once'}", faults + trial.faults_of_end())
    return tally


def source_changed(bench: Bench, number: int, change: str, moment: str) -> Tally:
    """A source that changes at a moment: the store is the source as it was at one moment, or there is none, and why is said.

    moment: "before" the shard of the record, "in" it but before its reading, "while" it is read, "after" its shard.
    """
    tally, trial = Tally("the source changes"), bench.trial(f"changed-{number}", own_source=True)
    record = 9  # a CSV, the second of its shard
    reads = {"before": record - SHARD, "in": record, "while": record + 1, "after": record + SHARD + 1}
    path = file_of(trial.source, record)
    if change in OF_THE_LIST:
        path = trial.source if change == "all gone" else trial.source / "table.csv"
    was = _fresh(bench, trial, number)
    event = "reading" if moment == "in" else "read"
    at = reads[moment] + (1 if moment == "in" else 0)
    ended = trial.run(trial.strike(event, at, change, str(path)))
    now, found = _fresh(bench, trial, number), tree_or_fault(trial.place / "out")
    tally.note("refused", float(ended.code == 1))
    if ended.code == 0:
        told = "came to the source" in ended.said
        faults = [] if found in ([now, was] if told else [now]) else ["a store of neither what was nor what is, or nothing said"]
    else:
        faults = said_so(ended, "run it again") + ([] if not found else ["a store all the same"])
        again = trial.run()
        right = (again.code == 0) == bool(now) and tree_or_fault(trial.place / "out") == now
        faults += [] if right else [f"run again it ended with {again.code}: {again.said[-200:]}"]
    tally.add(f"{change}, {moment}", faults)
    return tally


def _fresh(bench: Bench, trial: Trial, number: int) -> dict[str, str]:
    """What a preparation makes of the source as it is now; {} where it makes nothing."""
    place = bench.trial(f"fresh-{number}").place
    source = Folder(str(trial.source / "tree"), str(trial.source / "table.csv"))
    try:
        prepare_store(source, place / "out", ShardSettings(100.0, 10.0, "first", "cmelt"), shard_records=SHARD)
    except (SourceError, StoreError):
        return {}
    return tree_of(place / "out")
