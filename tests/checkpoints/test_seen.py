"""A model folder tells what it was trained on, by fingerprints alone."""

from __future__ import annotations

import numpy as np

from cmelt.checkpoints.seen import SEEN, read_seen, write_seen


def test_fingerprints_come_back_sorted_and_once(tmp_path):
    one, other = "0f" * 32, "a0" * 32
    write_seen([other, one, other, "", "no fingerprint"], tmp_path)
    assert read_seen(tmp_path) == (one, other)
    assert np.load(tmp_path / SEEN).nbytes == 64


def test_a_folder_without_a_list_has_seen_nothing_that_we_know(tmp_path):
    assert read_seen(tmp_path) == ()
    write_seen([], tmp_path)
    assert read_seen(tmp_path) == ()
