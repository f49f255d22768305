"""The script that puts faults into the code: what it draws, what it leaves out, and how it counts."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

import mutation
from mutation import counted, difference, draw, keep, measure_again, only_letters, room_of, starts_processes

HOUSE = Path(__file__).resolve().parents[2]
#: Two files as mutmut writes them: the original and its mutants one below the other, methods indented.
BEATS = """\
def x_rate__mutmut_orig(gap):
    if gap <= 0:
        raise ValueError(f"{gap}", "no Gap")
    return 60 / gap

def x_rate__mutmut_1(gap):
    if gap < 0:
        raise ValueError(f"{gap}", "no Gap")
    return 60 / gap

def x_rate__mutmut_2(gap):
    if gap <= 0:
        raise ValueError(f"{gap}", "XXno GapXX")
    return 60 / gap

def x_rate__mutmut_3(gap):
    if gap <= 0:
        raise ValueError(f"{gap}", None)
    return 60 / gap
"""
LEADS = """\
class Lead:
    def xǁLeadǁname__mutmut_orig(self):
        return "aVF"

    def xǁLeadǁname__mutmut_1(self):
        return "AVF"
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy in which mutmut has been: four mutants, one of them the wording of an error."""
    mutation.mutated.cache_clear()
    folder = tmp_path / "mutants" / "src" / "rooms"
    folder.mkdir(parents=True)
    beats = {"x_rate__mutmut_orig": [1, 4]} | {f"x_rate__mutmut_{turn}": [1 + 5 * turn, 4 + 5 * turn] for turn in (1, 2, 3)}
    spans = {"beats": beats, "leads": {"xǁLeadǁname__mutmut_orig": [2, 3], "xǁLeadǁname__mutmut_1": [5, 6]}}
    for name, text in (("beats", BEATS), ("leads", LEADS)):
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        (folder / f"{name}.py.spans").write_text(json.dumps({"version": 1, "spans": spans[name]}), encoding="utf-8")
        codes = {f"rooms.{name}.{key}": None for key in spans[name] if not key.endswith("orig")}
        (folder / f"{name}.py.meta").write_text(json.dumps({"exit_code_by_key": codes}), encoding="utf-8")
    return tmp_path


def test_a_mutant_is_told_by_the_lines_that_differ(copy: Path) -> None:
    found = difference(copy, "src/rooms/beats.py", "rooms.beats.x_rate__mutmut_1")
    assert found == ("if gap <= 0:", "if gap < 0:", False)
    assert difference(copy, "src/rooms/leads.py", "rooms.leads.xǁLeadǁname__mutmut_1")[:2] == ('return "aVF"', 'return "AVF"')


def test_only_the_wording_of_an_error_is_left_out_of_the_draw(copy: Path) -> None:
    """A name of a lead in other letters is a fault, and so is an error that has lost its reason."""
    sample, pool, wording = draw(copy, 9, seed=0)
    assert (pool, wording) == (3, 1)
    assert sorted(mutant.rpartition(".")[2] for _, mutant in sample) == [
        "x_rate__mutmut_1",
        "x_rate__mutmut_3",
        "xǁLeadǁname__mutmut_1",
    ]
    assert only_letters('fault = "Lead", "II"', 'fault = "LEAD", "II"') and only_letters("'a'", "'XXaXX'")
    assert not only_letters('"a" + b', '"a" - b') and not only_letters('"a", 1', '"A", 2') and not only_letters('"a"', '"b"')


def test_a_draw_is_a_function_of_its_seed_and_spreads_over_the_files(copy: Path) -> None:
    assert draw(copy, 2, seed=5) == draw(copy, 2, seed=5)
    drawn = {seed: tuple(mutant for _, mutant in draw(copy, 1, seed)[0]) for seed in range(20)}
    assert len(set(drawn.values())) == 3  # each of the three is drawn by some seed
    assert all(len(one) == 1 for one in drawn.values())


def test_what_never_ends_counts_as_found_and_what_no_test_reaches_does_not(copy: Path) -> None:
    names = ["rooms.beats.x_rate__mutmut_1", "rooms.beats.x_rate__mutmut_3", "rooms.leads.xǁLeadǁname__mutmut_1"]
    sample = [(f"src/rooms/{name.split('.')[1]}.py", name) for name in names]
    told = mutation.verdicts(copy, sample, dict(zip(names, (1, -24, 33), strict=True)))
    assert {kind: len(ones) for kind, ones in told.items()} == {"found": 1, "endless": 1, "lived": 0, "untested": 1, "unclear": 0}
    figures = counted(told)
    assert figures["found"] == 2 and figures["low"] == pytest.approx(0.2077, abs=1e-4)  # Wilson, 2 of 3
    assert (
        mutation.verdicts(copy, sample[:1], {names[0]: 35})["unclear"]
        and mutation.verdicts(copy, sample[:1], {names[0]: 0})["lived"]
    )


def test_where_the_tests_fail_by_themselves_nothing_is_counted(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutation, "run_mutmut", lambda *_: None)
    with pytest.raises(SystemExit, match="no mutant was judged: the tests fail by themselves"):
        mutation.judge(copy, ["rooms.beats.x_rate__mutmut_1"])


def test_what_no_test_reaches_in_its_own_process_is_tried_by_those_that_start_others(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss that several processes sum is run by no line of the tests' own process."""
    tests = {"tests/test_beats.py": "def test_rate(): ...", "tests/test_ring.py": "from tiny_runs import apart\napart(print)\n"}
    for name, text in tests.items():
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(text, encoding="utf-8")
    reached, ring, beats = "rooms.leads.xǁLeadǁname", "tests/test_ring.py::test_ring", "tests/test_beats.py::test_rate"
    noted = {"duration_by_test": {ring: 9.0, beats: 0.1}, "tests_by_mangled_function_name": {reached: [beats]}}
    stats = copy / "mutants" / "mutmut-stats.json"
    stats.write_text(json.dumps(noted), encoding="utf-8")
    runs: list[tuple[list[str], dict[str, list[str]]]] = []

    def run(_: Path, mutants: list[str]) -> None:
        known = json.loads(stats.read_text(encoding="utf-8"))["tests_by_mangled_function_name"]
        runs.append((list(mutants), known))
        for path in (copy / "mutants" / "src").rglob("*.meta"):
            codes = json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
            found = {
                name: int(ring in known[name.partition("__mutmut_")[0]]) for name in codes if name in mutants and len(runs) > 1
            }
            first = {name: 33 if "beats" in name else 0 for name in codes if name in mutants and len(runs) == 1}
            path.write_text(json.dumps({"exit_code_by_key": codes | first | found}), encoding="utf-8")

    monkeypatch.setattr(mutation, "run_mutmut", run)
    asked = ["rooms.beats.x_rate__mutmut_1", f"{reached}__mutmut_1"]
    assert mutation.judge(copy, asked) == dict.fromkeys(asked, 1)  # untested, and living, before
    assert [mutants for mutants, _ in runs] == [asked, asked]
    assert runs[1][1] == {"rooms.beats.x_rate": [ring], reached: sorted([beats, ring])}


def test_what_does_not_end_among_forks_is_judged_in_a_process_of_its_own(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant, calls = "rooms.beats.x_rate__mutmut_3", []
    noted = {"duration_by_test": {}, "tests_by_mangled_function_name": {"rooms.beats.x_rate": ["tests/test_beats.py::test_rate"]}}
    (copy / "mutants" / "mutmut-stats.json").write_text(json.dumps(noted), encoding="utf-8")
    monkeypatch.setattr(mutation, "run_mutmut", lambda *_: None)
    monkeypatch.setattr(mutation, "codes_of", lambda *_: {mutant: -24})

    class Ended:
        returncode = 0

    monkeypatch.setattr(mutation.subprocess, "run", lambda command, **named: (calls.append((command, named)), Ended())[1])
    assert mutation.judge(copy, [mutant]) == {mutant: 0}
    [(command, named)] = calls
    assert command[-1] == "tests/test_beats.py::test_rate" and named["cwd"] == copy / "mutants"
    assert named["env"]["MUTANT_UNDER_TEST"] == mutant
    assert named["env"]["PYTHONPATH"].split(":") == [str(copy / "mutants" / folder) for folder in ("src", "benchmarks")]


def test_where_a_test_fails_before_anything_is_changed_nothing_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mutant would count as found."""
    commit = io.BytesIO()
    with tarfile.open(fileobj=commit, mode="w") as held:
        held.add(HOUSE / "pyproject.toml", "pyproject.toml")
    told = subprocess.CompletedProcess([], 0, stdout=commit.getvalue())
    monkeypatch.setattr(mutation.subprocess, "run", lambda *_, **__: told)
    monkeypatch.setattr(mutation, "run_mutmut", lambda *_: None)  # as mutmut does it: no notes are left behind
    with pytest.raises(SystemExit, match=r"batches: a test fails before anything is changed, see .*batches.mutmut\.log"):
        mutation.lay_out("batches", tmp_path)
    assert 'only_mutate = ["src/cmelt/batches/*"]' in (tmp_path / "batches" / "pyproject.toml").read_text(encoding="utf-8")


def test_those_that_lived_are_judged_again_only_where_they_are_the_same_fault(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutation, "lay_out", lambda *_: copy)
    monkeypatch.setattr(mutation, "judge", lambda _, mutants: dict.fromkeys(mutants, 1))
    lived = [
        {"mutant": "rooms.beats.x_rate__mutmut_1", "file": "src/rooms/beats.py", "was": "if gap <= 0:", "became": "if gap < 0:"},
        {"mutant": "rooms.beats.x_rate__mutmut_3", "file": "src/rooms/beats.py", "was": "if gap <= 1:", "became": "if gap < 1:"},
    ]
    told = measure_again("beats", copy, {"lived": lived, "untested": [], "unclear": [], "found": 7})
    assert told["since"] == {"found": 1, "gone": 1, "left": []} and told["found"] == 7 and told["lived"] == lived


def test_a_sample_is_kept_beside_the_others_and_what_was_said_by_hand_stays(tmp_path: Path) -> None:
    path = tmp_path / "mutation.json"
    path.write_text(json.dumps({"samples": {"store, seed 1": {"drawn": 4}}, "equivalent": {"a": "why"}}), encoding="utf-8")
    keep(path, "batches, seed 1", {"drawn": 2})
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["samples"] == {"store, seed 1": {"drawn": 4}, "batches, seed 1": {"drawn": 2}}
    assert content["equivalent"] == {"a": "why"}


def test_every_test_of_records_judges_one_of_its_two_rooms() -> None:
    own, readers = room_of("records", HOUSE), room_of("readers", HOUSE)
    every = {path.relative_to(HOUSE).as_posix() for path in (HOUSE / "tests" / "records").glob("test_*.py")}
    assert {*own.tests, *readers.tests} - {"tests/contracts/test_readers.py"} == every and not {*own.tests} & {*readers.tests}
    assert own.besides == readers.files  # what the one leaves out, the other has
    assert all(
        (HOUSE / test).is_dir() for name in ("objectives", "negatives", "batches", "store") for test in room_of(name, HOUSE).tests
    )


def test_tests_that_start_processes_are_known() -> None:
    assert starts_processes(HOUSE / "tests" / "objectives" / "test_across_processes.py")
    assert not starts_processes(HOUSE / "tests" / "objectives" / "test_pairs.py")
