"""A service under load: each answer compared with the offline one, more than it can do, hostile bodies, and its end under load.

Run: OMP_NUM_THREADS=1 python benchmarks/faults/service_load.py [load growth overload bodies stop] [--seconds 60] [--json FILE]

The service is `cmelt serve` with the bundled model and one thread, in a process of its own; its clients are in another. Both
share the machine with whatever else runs: times are told as ratios of ways measured in turns in one run, and counts as counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import cmelt
from cmelt.serving.http import canonical
from cmelt.serving.http.examples import EXAMPLES, example_record
from cmelt.serving.http.service import drawable

sys.path.append(str(Path(__file__).resolve().parents[1]))
from hostile_bodies import BODIES, Sent, half_sent, hostile, slow_bodies
from service_clients import Ask, write_asks
from service_process import Served, clients, outcomes_of, served

from measuring import Figure, options, tell, verdict

CLIENTS = 32
ROUNDS = 3
#: A difference from the offline answer that counts as wrong.
WRONG = 1e-5
#: How many times the load that it can do.
OVERLOAD = 8
OWN_PROMPTS = {"af": ["atrial fibrillation."], "block": ["left bundle branch block."]}

Outcomes = list[dict[str, Any]]


def asks_of(model: str = "small", names: Sequence[str] = tuple(EXAMPLES)) -> list[Ask]:
    """Requests of every form with the answers that Python gives: JSON, canonical, a file; scores and vectors; 10 s and 60."""
    loaded = cmelt.load(model, device="cpu")
    found: list[Ask] = []
    for name in names:
        content = drawable(example_record(name))
        record = canonical.record_in(content)
        slim = cmelt.record_of(record.signal[:, ::5], rate=record.rate / 5, unit="mV", leads=list(record.leads))
        body = {"signal": slim.signal.astype(float).tolist(), "leads": list(slim.leads), "rate": slim.rate, "unit": "mV"}
        vector = cmelt.embed(*loaded, record)[0].tolist()
        form = _form(content, json.dumps(OWN_PROMPTS))
        found += [
            Ask("/v1/classify", canonical.MEDIA_TYPE, content, cmelt.classify(*loaded, record, "ptbxl-super").of(0), []),
            Ask("/v1/embed", canonical.MEDIA_TYPE, content, {}, vector),
            Ask("/v1/classify", "multipart/form-data; boundary=x", form, cmelt.classify(*loaded, record, OWN_PROMPTS).of(0), []),
            Ask(
                "/v1/classify?classes=atrial-fibrillation",
                "application/json",
                json.dumps(body).encode(),
                cmelt.classify(*loaded, slim, ["atrial-fibrillation"]).of(0),
                [],
            ),
        ]
    return found


def small_asks(asks: Sequence[Ask]) -> list[Ask]:
    """Of these, the smallest of each ECG of 10 s: so many of them that clients and wires are not what is measured."""
    return sorted((ask for ask in asks if ask.scores), key=lambda ask: len(ask.body))[: len(EXAMPLES) // 2]


def _form(content: bytes, prompts: str) -> bytes:
    head = '--x\r\nContent-Disposition: form-data; name="prompts"\r\n\r\n' + prompts
    file = '\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="ecg"\r\n\r\n'
    return head.encode() + file.encode() + content + b"\r\n--x--\r\n"


def _figure(what: str, value: float, unit: str, target: str = "", note: str = "", against: str = "") -> Figure:
    return Figure(what, value, unit, against, target=target, met=verdict(value, target) if target else None, note=note)


def _p99(outcomes: Outcomes) -> float:
    return float(np.percentile([one["seconds"] for one in outcomes if one["status"] == 200], 99))


def _asked(service: Served, asks: Path, **how: object) -> Outcomes:
    arguments = [part for name, value in how.items() for part in (f"--{name}", value)]
    return outcomes_of(clients(service.port, asks, *arguments))


def _judged(outcomes: Outcomes, of: str) -> list[Figure]:
    """How many are lost, how many wrong."""
    lost = sum(one["status"] != 200 for one in outcomes)
    wrong = sum(one["status"] == 200 and (one["fault"] != "" or one["off"] is None or one["off"] > WRONG) for one in outcomes)
    largest = max(one["off"] or 0.0 for one in outcomes)
    return [
        _figure(f"{of}: answers lost", lost, "", "≤ 0", f"of {len(outcomes):,} requests"),
        _figure(f"{of}: answers wrong", wrong, "", "≤ 0", f"largest difference from the offline answer {largest:.1e}"),
    ]


def load(work: Path, asks: Path, seconds: float) -> list[Figure]:
    """Many clients and one, in turns."""
    alone: Outcomes = []
    many: Outcomes = []
    paced: Outcomes = []
    used = {"alone": 0.0, "many": 0.0}
    with served(work / "load") as service:
        _asked(service, asks, clients=CLIENTS, seconds=max(seconds / 6, 2.0))  # every prompt is read, every buffer has its size
        before = _at_rest(service)
        for _ in range(ROUNDS):
            start = service.processor_seconds()
            alone += _asked(service, asks, clients=1, seconds=max(seconds / 12, 2.0))
            middle = service.processor_seconds()
            round_ = _asked(service, asks, clients=CLIENTS, seconds=seconds / ROUNDS)
            used["alone"] += middle - start
            used["many"] += service.processor_seconds() - middle
            many += round_
            rate = len(round_) / (seconds / ROUNDS)
            paced += _asked(service, asks, clients=CLIENTS, seconds=seconds / ROUNDS, pause=2 * CLIENTS / rate)
        growth = _at_rest(service) - before
    each = [1000 * used[name] / len(made) for name, made in (("alone", alone), ("many", many))]
    told = f"{CLIENTS} clients without a pause"
    return [
        *_judged(many, told),
        *_judged(paced, f"{CLIENTS} clients at half of that"),
        _figure(f"{told}: answers a second", len(many) / seconds, "/s", note="all forms of requests in turn, one thread"),
        _figure(f"{told}: p99", _p99(many) / _p99(alone), "×", "≤ 5", "in turns in one run", "the p99 of one client"),
        _figure(
            f"{CLIENTS} clients at half of that: p99", _p99(paced) / _p99(alone), "×", "≤ 5", "in turns in one run",
            "the p99 of one client",
        ),
        _figure(
            "processor time a request", each[1], "ms", note=f"{each[0]:.1f} ms with one client: what sharing batches saves",
        ),
        _figure("growth of memory over all of it", growth, "MB", "≤ 50", f"{len(alone) + len(many) + len(paced):,} requests"),
    ]  # fmt: skip


def growth(work: Path, asks: Path, seconds: float) -> list[Figure]:
    """Many clients without a pause for as long as is asked, and the memory before and after."""
    with served(work / "growth") as service:
        _asked(service, asks, clients=CLIENTS, seconds=10.0)
        before = _at_rest(service)
        outcomes = _asked(service, asks, clients=CLIENTS, seconds=seconds)
        grown = _at_rest(service) - before
    told = f"{CLIENTS} clients without a pause for {seconds:g} s"
    return [*_judged(outcomes, told), _figure(f"{told}: growth of memory", grown, "MB", "≤ 50", f"{len(outcomes):,} requests")]


def _at_rest(service: Served) -> float:
    """Megabytes once nothing is asked any more."""
    time.sleep(3.0)
    return service.memory()


def overload(work: Path, asks: Path, seconds: float) -> list[Figure]:
    """As many clients as may wait; then so many times the rate that these have reached."""
    with served(work / "overload", "--waiting", str(CLIENTS)) as service:
        _asked(service, asks, clients=CLIENTS, seconds=3)
        full = _asked(service, asks, clients=CLIENTS, seconds=seconds)
        rate = OVERLOAD * sum(one["status"] == 200 for one in full) / seconds
        outcomes = _asked(service, asks, rate=rate, seconds=seconds)
        bare = [1000 * one["seconds"] for one in _refused_barely(asks, rate, seconds / 3)]
        ready = service.get("/readyz")[0]
    taken = [one for one in outcomes if one["status"] == 200]
    excess = [one for one in outcomes if one["status"] == 503]
    times = [one["seconds"] for one in excess]
    soon = sum(one["seconds"] <= 0.1 and one["retry_after"] for one in excess)
    other = len(outcomes) - len(taken) - len(excess)
    told = f"{OVERLOAD} × capacity"
    half, most = np.percentile(bare, [50, 99])
    at_all = f"asyncio alone, no model at work: half within {half:.0f} ms, 99 % within {most:.0f} ms"
    return [
        _figure(f"{told}: neither answered nor refused", other, "", "≤ 0", f"of {len(outcomes):,} at {rate:.0f} a second"),
        *_judged(taken, f"{told}: of those taken"),
        _figure(f"{told}: refused with Retry-After within 100 ms", 100 * soon / max(len(excess), 1), "%", "≥ 99",
                f"{len(excess):,} refused; half within {1000 * float(np.median(times)):.0f} ms, "
                f"99 % within {1000 * float(np.percentile(times, 99)):.0f} ms; {at_all}"),
        _figure(f"{told}: p99 of those taken", _p99(outcomes) / _p99(full), "×", "≤ 1.5", f"{len(taken):,} taken",
                f"the p99 at capacity ({CLIENTS} clients, each waiting for its answer)"),
        _figure(f"{told}: ready afterwards", float(ready == 200), "", "≥ 1"),
    ]  # fmt: skip


def _refused_barely(asks: Path, rate: float, seconds: float) -> Outcomes:
    """What the same clients get of a server that does nothing but refuse."""
    script = Path(__file__).with_name("bare_refusal.py")
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            port = int(running.stdout.readline())
            return outcomes_of(clients(port, asks, "--rate", rate, "--seconds", seconds))
        finally:
            running.kill()


def bodies(work: Path, asks: Path, _seconds: float) -> list[Figure]:
    """Bodies of 1 GB, half-sent requests and slow bodies, while small requests go on."""
    figures: list[Figure] = []
    with served(work / "bodies") as service:
        _asked(service, asks, clients=4, seconds=4)
        ways: dict[str, Callable[[], list[Sent]]] = {
            "1 GB bodies": lambda: hostile(service.port, [*BODIES] * 2),
            "200 half-sent requests": lambda: half_sent(service.port, 200),
            "50 bodies of ten bytes a second": lambda: slow_bodies(service.port, 50),
        }
        for what, way in ways.items():
            figures += _while_small(service, asks, what, way)
        ready = service.get("/readyz")[0]
    return [*figures, _figure("ready afterwards", float(ready == 200), "", "≥ 1")]


def _while_small(service: Served, asks: Path, what: str, way: Callable[[], list[Sent]]) -> list[Figure]:
    usual = _asked(service, asks, clients=1, seconds=10)
    held = service.forget_peak()
    with _going_on(service, asks) as meanwhile:
        sent = way()
    peak = service.peak() - held
    slowest = max(one.seconds for one in sent)
    middle = [float(np.median([one["seconds"] for one in some if one["status"] == 200])) for some in (meanwhile, usual)]
    refused = sum(400 <= one.status < 500 or one.status == 503 for one in sent)
    most = max(one.bytes for one in sent if one.lockstep) if any(one.lockstep for one in sent) else None
    figures = [
        _figure(f"{what}: refused", refused, "", f"≥ {len(sent)}", f"of {len(sent)}: {_counted(sent)}"),
        _figure(f"{what}: closed within", slowest, "s", "≤ 10"),
        _figure(f"{what}: memory on top", max(peak, 0.0), "MB", "≤ 64"),
        _figure(f"{what}: small requests meanwhile", middle[0] / middle[1], "×", "≤ 2", "medians", "without them, just before"),
        *_judged(meanwhile, f"{what}: small requests meanwhile"),
    ]
    if most is not None:
        figures.append(_figure(f"{what}: read before the refusal", most / 1024, "kB", f"≤ {(32 << 10) + 64}", "limit and 64 kB"))
    return figures


@contextmanager
def _going_on(service: Served, asks: Path) -> Iterator[Outcomes]:
    """Small requests of one client for as long as the block lasts, and at least 10 s; filled at the end."""
    found: Outcomes = []
    running = clients(service.port, asks, "--clients", 1, "--seconds", 14)
    time.sleep(3.0)  # until they are at work
    try:
        yield found
    finally:
        found += outcomes_of(running)


def _counted(sent: Sequence[Sent]) -> str:
    told: dict[str, list[int]] = {}
    for one in sent:
        told.setdefault(one.what, []).append(one.status)
    return "; ".join(f"{what} {sorted(set(statuses))}" for what, statuses in told.items())


def stop(work: Path, asks: Path, _seconds: float) -> list[Figure]:
    """SIGTERM under load."""
    with served(work / "stop") as service:
        running = clients(service.port, asks, "--clients", CLIENTS, "--seconds", 120)
        time.sleep(6.0)
        begun = time.perf_counter()
        taken, status = service.end()
        outcomes = outcomes_of(running)
        said = service.log.read_text()
    cut = [one for one in outcomes if one["status"] == 0 and "before the answer" in one["fault"]]
    return [
        _figure("SIGTERM under load: requests cut off", len(cut), "", "≤ 0", f"{CLIENTS} clients, {len(outcomes):,} requests"),
        *_judged([one for one in outcomes if one["status"] == 200], "SIGTERM under load: of those answered"),
        _figure("SIGTERM under load: exit after", taken, "s", "≤ 30", f"{time.perf_counter() - begun:.1f} s until clients knew"),
        _figure("SIGTERM under load: exit status", status, "", "≤ 0"),
        _figure("SIGTERM under load: answers of 500", said.count(" 500 "), "", "≤ 0"),
    ]


PARTS: Mapping[str, Callable[[Path, Path, float], list[Figure]]] = {
    "load": load,
    "growth": growth,
    "overload": overload,
    "bodies": bodies,
    "stop": stop,
}


def main() -> None:
    """Measure what is asked for."""
    parser = options(__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--seconds", type=float, default=60.0, help="of 32 clients; half of it of overload")
    chosen = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="cmelt-service-") as name:
        work = Path(name)
        asks = asks_of()
        write_asks(asks, work / "asks")
        write_asks(small_asks(asks), work / "small")
        for part in chosen.parts or PARTS:
            seconds = chosen.seconds / 2 if part == "overload" else chosen.seconds
            figures += PARTS[part](work, work / ("small" if part == "overload" else "asks"), seconds)
    tell(figures, chosen.json)


if __name__ == "__main__":
    main()
