"""What takes long says how far it is; what is quick says nothing."""

from __future__ import annotations

from cmelt.training.setup import now_and_then


def test_what_is_quick_says_nothing() -> None:
    told: list[str] = []
    tell = now_and_then(told.append, "{} of {}")
    for done in range(100):
        tell(done, 100)
    assert told == []


def test_what_takes_long_says_how_far_it_is() -> None:
    told: list[str] = []
    tell = now_and_then(told.append, "{} of {} reports", seconds=0.0)
    tell(3, 9)
    tell(9, 9)
    assert told == ["3 of 9 reports", "9 of 9 reports"]
