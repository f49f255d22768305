"""What every benchmark shares: targets read as numbers, ratios round by round."""

from __future__ import annotations

import json
import math

import pytest

from measuring import Bound, Figure, Taken, bound_of, in_a_fresh_python, in_turns, peak_megabytes, ratio, tell, verdict


@pytest.mark.parametrize(
    ("target", "bound"),
    [
        ("≤ 0.6", Bound(True, 0.6)),
        ("< 20 ms on one core", Bound(True, 20.0)),
        ("≥ 50,000", Bound(False, 50000.0)),
        ("> 1e3", Bound(False, 1000.0)),
        ("", None),
        ("as fast as possible", None),
    ],
)
def test_a_target_is_read_as_it_is_said(target, bound):
    assert bound_of(target) == bound


@pytest.mark.parametrize(
    ("value", "target", "met"),
    [
        (0.6, "≤ 0.6", True),
        (0.6, "< 0.6", False),
        (0.61, "≤ 0.6", False),
        (20.0, "≥ 20", True),
        (20.0, "> 20", False),
        (21, "> 20", True),
    ],
)
def test_a_verdict_follows_from_value_and_target(value, target, met):
    assert verdict(value, target) is met


def test_a_verdict_on_a_target_without_a_number_is_refused():
    with pytest.raises(ValueError, match="quickly"):
        verdict(1.0, "quickly")


def test_twice_as_good_is_a_margin_of_two_whichever_way_is_good():
    assert Bound(True, 0.6).margin(0.3) == pytest.approx(2.0)
    assert Bound(False, 100.0).margin(200.0) == pytest.approx(2.0)
    assert Bound(False, 100.0).margin(50.0) == pytest.approx(0.5)
    assert Bound(True, 0.6).margin(0.0) == math.inf


def test_a_ratio_is_taken_round_by_round():
    assert ratio([1.0, 2.0, 9.0], [2.0, 2.0, 3.0]) == (1.0, 0.5, 3.0)
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0], [1.0, 2.0])


def test_ways_take_turns_and_warming_is_not_counted():
    order: list[str] = []
    taken = in_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3, warm=1)
    assert order == ["a", "b"] * 4
    assert {name: len(times) for name, times in taken.items()} == {"a": 3, "b": 3}
    assert all(isinstance(one, Taken) and one.clock >= 0 for one in taken["a"])


def test_memory_that_was_held_is_in_the_peak():
    found = in_a_fresh_python(
        "import json, sys; sys.path.append(sys.argv[1])\n"
        "from measuring import peak_megabytes\n"
        "before = peak_megabytes(); held = bytearray(200_000_000); print(json.dumps(peak_megabytes() - before))",
        str(__import__("measuring").__file__).rsplit("/", 1)[0],
    )
    assert 190 < found < 215
    assert peak_megabytes() > 10
    assert peak_megabytes("999999999") == 0.0


def test_what_is_told_is_written_with_machine_and_date(tmp_path, capsys):
    figures = [Figure("job", 0.5, "×", "the release", 0.4, 0.6, "≤ 0.6", True, "8 pairs")]
    tell(figures, tmp_path / "told.json", ["no GPU"])
    content = json.loads((tmp_path / "told.json").read_text())
    assert content["figures"][0]["value"] == 0.5 and content["skipped"] == ["no GPU"]
    assert content["date"].count("-") == 2 and {"processor", "cores", "torch"} <= content["machine"].keys()
    told = capsys.readouterr().out
    assert "job: 0.5 × [0.4, 0.6] against the release; target ≤ 0.6: reached (8 pairs)" in told
    assert "skipped: no GPU" in told
