"""A model folder tells what it was trained on, by fingerprints alone."""

from __future__ import annotations

import numpy as np

from cmelt.checkpoints.seen import PEOPLE, SEEN, read_seen, write_seen
from cmelt.store.patients import people_of


def test_fingerprints_come_back_sorted_and_once(tmp_path):
    one, other = "0f" * 32, "a0" * 32
    write_seen([other, one, other, "", "no fingerprint"], tmp_path)
    assert read_seen(tmp_path) == (one, other)
    assert np.load(tmp_path / SEEN).nbytes == 64


def test_patients_come_back_by_names_that_are_no_hashes_of_a_store(tmp_path):
    hashes = ["aa" * 8, "bb" * 8]
    people = people_of("check", [*hashes, "", hashes[0]])
    assert people[0] == people[3] != people[1] and people[2] == ""
    assert people_of("another key", hashes[:1]) != people[:1]
    write_seen(["0f" * 32, *people], tmp_path)
    assert set(read_seen(tmp_path)) == {"0f" * 32, *people} - {""}
    assert np.load(tmp_path / PEOPLE).shape == (2, 16)
    assert not any(bytes.fromhex(known) in (tmp_path / PEOPLE).read_bytes() for known in hashes)


def test_a_folder_without_a_list_has_seen_nothing_that_we_know(tmp_path):
    assert read_seen(tmp_path) == ()
    write_seen([], tmp_path)
    assert read_seen(tmp_path) == ()
