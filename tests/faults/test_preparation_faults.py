"""A preparation that is killed, finds the disk full, meets another or loses its source: a whole store or none, and the reason."""

from __future__ import annotations

import numpy as np
import preparation_campaigns as campaigns
import pytest
from full_disk import can_be_mounted
from preparation_campaigns import drawn, events_of, killed_at
from preparation_runs import Bench, tree_or_fault
from tally import Tally

full_disks = pytest.mark.skipif(not can_be_mounted(), reason="no disk can be mounted here in a namespace of one's own")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Bench:
    return Bench(tmp_path_factory.mktemp("struck-preparations"))


def held(tally: Tally) -> None:
    assert tally.total > 0
    assert tally.wrong == []


def test_killed_after_its_store_was_put_in_place_it_is_whole_and_what_it_left_is_removed(place):
    """The last calls are those that remove the work folder; the next preparation of the place finishes that."""
    last = events_of(place, "call")
    trial = place.trial("last")
    assert trial.run(trial.strike("call", last - 1)).code == -9
    assert tree_or_fault(trial.place / "out") == place.whole
    assert trial.resumed() == []


def test_killed_at_a_line_with_an_old_store_in_its_place(place):
    held(killed_at(place, "line", 1, int(drawn(0, 1).integers(1000, 6000))))


@full_disks
def test_a_full_disk_is_one_line_of_place_and_remedy_and_the_old_store_stays(place):
    held(campaigns.disk_full(place, 1, "size=120k"))


def test_a_file_that_changes_after_it_was_read_is_found_out(place):
    held(campaigns.source_changed(place, 0, "rewritten", "after"))


def test_a_tree_or_a_store_that_is_not_whole_is_told_from_one_that_is(place):
    assert tree_or_fault(place.folder / "whole" / "out") == place.whole
    trial = place.trial("half", replacing=True)
    assert trial.faults_of_state() == [] and trial.faults_of_end() != []
    (trial.place / "out" / "index.parquet").write_bytes(b"")
    assert "half a store" in trial.faults_of_state()[0]


@pytest.mark.slow
def test_killed_at_more_lines_and_calls(place):
    lines, calls = events_of(place, "line"), events_of(place, "call")
    for number, at in enumerate(np.linspace(1, calls, 15).round().astype(int).tolist()):
        held(killed_at(place, "call", number, at))
    for number in range(15):
        held(killed_at(place, "line", number, int(drawn(0, number).integers(1, lines + 1))))


@pytest.mark.slow
def test_killed_with_workers_and_workers_killed(place):
    lines = events_of(place, "worker")
    for number in range(4):
        held(campaigns.killed_with_workers(place, number))
        held(campaigns.killed_worker(place, number, lines))


@pytest.mark.slow
@pytest.mark.parametrize("who", ["scheduler", "worker", "client", "local"])
def test_killed_on_a_cluster(place, who):
    pytest.importorskip("distributed")
    held(campaigns.killed_on_dask(place, 0, who))


@pytest.mark.slow
@full_disks
@pytest.mark.parametrize("limits", ["size=0k", "size=200k", "size=300k", "nr_inodes=0", "nr_inodes=7", "nr_inodes=15"])
def test_disks_that_are_full_elsewhere(place, limits):
    held(campaigns.disk_full(place, 0, limits))


@pytest.mark.slow
def test_two_at_once(place):
    for number in range(6):
        held(campaigns.two_at_once(place, number))


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "in", "while", "after"])
@pytest.mark.parametrize("change", [*campaigns.OF_A_FILE, *campaigns.OF_THE_LIST])
def test_sources_that_change(place, change, moment):
    held(campaigns.source_changed(place, 1, change, moment))
