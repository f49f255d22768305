"""Which collection a record comes from first, whatever store it is in."""

from __future__ import annotations

import pytest

from cmelt.sources.cinc2021 import PARTS
from cmelt.sources.provenance import collection_of


@pytest.mark.parametrize(
    ("source", "record", "collection"),
    [
        ("cinc2021", "HR00001", "ptb-xl"),
        ("ptb-xl", "1", "ptb-xl"),
        ("cinc2021", "A0001", "cpsc_2018"),
        ("cpsc2018", "A0001", "cpsc_2018"),
        ("cinc2021", "Q0001", "cpsc_2018_extra"),
        ("cinc2021", "JS00001", "chapman_shaoxing"),
        ("csn", "JS10646", "chapman_shaoxing"),
        ("csn", "JS10647", "ningbo"),
        ("cinc2021", "E00001", "georgia"),
        ("folder", "HR00001", ""),  # a name alone says nothing
        ("cinc2021", "mine", ""),
        ("simulated", "1", ""),
    ],
)
def test_collections_have_the_challenge_s_names(source, record, collection):
    assert collection_of(source, record) == collection
    assert collection in (*PARTS, "")
