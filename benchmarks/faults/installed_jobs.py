"""What an installed cmelt is asked to do, from a folder that is nowhere near the repository."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

NOTICE = "not a medical device"
SIMULATED = """
import numpy as np
from cmelt.simulation import simulate
record = simulate(seed=12, conditions=["atrial-fibrillation"], patient=2)
np.savez("patient.npz", signal=record.signal, fs=record.rate, unit="mV", leads=record.leads)
"""
SCORED = """
import json, cmelt
model, processor = cmelt.load("small", device="cpu")
assert cmelt.__file__.startswith(__import__("sys").prefix), cmelt.__file__
print(json.dumps({"version": cmelt.__version__}), "{notice}")
""".replace("{notice}", NOTICE)
SECONDS = 900


@dataclass(frozen=True)
class Environment:
    """A Python environment of its own, and the folder that its commands run in."""

    folder: Path
    away: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, *command: str | Path, seconds: float = SECONDS) -> tuple[int, str]:
        """Exit status and all that a command of this environment said; nothing of the repository is on its path."""
        self.away.mkdir(parents=True, exist_ok=True)
        program = self.folder / "bin" / str(command[0])
        done = subprocess.run(
            [str(program), *map(str, command[1:])],
            cwd=self.away,
            env=bare_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=seconds,
        )
        return done.returncode, done.stdout


@dataclass(frozen=True)
class Job:
    """A thing asked of an installation: its name, and what does it and says whether it was done."""

    name: str
    done: Callable[[Environment], bool]


def bare_environment() -> dict[str, str]:
    """This process's environment without what leads Python or cmelt elsewhere; a thread each."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CMELT", "VIRTUAL_ENV"))}
    return {**kept, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TERM": "dumb", "COLUMNS": "160"}


def _says(expected: str, *command: str) -> Callable[[Environment], bool]:
    def done(where: Environment) -> bool:
        status, said = where.run(*command)
        return status == 0 and re.search(expected, said) is not None

    return done


def _simulates(where: Environment) -> bool:
    status, _ = where.run("python", "-c", SIMULATED)
    return status == 0 and (where.away / "patient.npz").is_file()


def _loads_from_its_own_place(where: Environment) -> bool:
    status, said = where.run("python", "-c", SCORED)
    return status == 0 and NOTICE in said


def _demonstrates(where: Environment) -> bool:
    """Simulate 200 ECGs, pre-train, evaluate, write the page: `make demo` in small."""
    status, _ = where.run("cmelt", "demo", "--out", "demo", "--records", "200", "--workers", "1")
    pages = list((where.away / "demo").rglob("*.html"))
    return status == 0 and any(NOTICE in page.read_text(encoding="utf-8") for page in pages)


def _serves(where: Environment) -> bool:
    """A service at a free port scores one ECG that is sent to it, shows its page, and ends with SIGTERM."""
    _simulates(where)
    log = where.away / "serve.log"
    with log.open("w", encoding="utf-8") as said:
        command = [str(where.folder / "bin" / "cmelt"), "serve", "--port", "0"]
        served = subprocess.Popen(command, cwd=where.away, env=bare_environment(), stdout=said, stderr=said)
    try:
        address = _ready(_address(log))
        boundary = "a-boundary"
        part = f'--{boundary}\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n'
        body = (part % ("classes", "")).encode() + b"atrial-fibrillation\r\n"
        body += (part % ("file", '; filename="patient.npz"')).encode() + (where.away / "patient.npz").read_bytes()
        body += f"\r\n--{boundary}--\r\n".encode()
        asked = urllib.request.Request(
            f"{address}/v1/classify", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}, method="POST"
        )
        with urllib.request.urlopen(asked, timeout=120) as answer:
            told = json.dumps(json.load(answer))
        with urllib.request.urlopen(address, timeout=60) as answer:
            page = answer.read().decode()
        return "atrial-fibrillation" in told and NOTICE in told and "<html" in page
    finally:
        served.terminate()
        served.wait(60)


def _ready(address: str) -> str:
    """The address, once the service says that its model is loaded."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=10):
                return address
        except urllib.error.URLError:  # 503 while the model loads
            time.sleep(0.5)
    raise TimeoutError(address)


def _address(log: Path) -> str:
    for _ in range(600):
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text(encoding="utf-8")):
            return found[0]
        time.sleep(0.2)
    raise TimeoutError(log.read_text(encoding="utf-8"))


def _makes(name: str, *command: str) -> Callable[[Environment], bool]:
    def done(where: Environment) -> bool:
        _simulates(where)
        status, _ = where.run(*command)
        return status == 0 and (where.away / name).exists()

    return done


#: What the package does without any extra.
PLAIN = (
    Job("--version", _says(r"^cmelt \d+\.\d+\.\d+", "cmelt", "--version")),
    Job("--help", _says("pretrain", "cmelt", "--help")),
    Job("an ECG is simulated", _simulates),
    Job("the bundled model loads from where it was installed", _loads_from_its_own_place),
    Job("show", _says("II", "cmelt", "show", "patient.npz")),
    Job("classify, zero-shot", _says("atrial-fibrillation", "cmelt", "classify", "patient.npz", "--classes", "afib,lbbb")),
    Job("plot", _makes("page.pdf", "cmelt", "plot", "patient.npz", "--out", "page.pdf")),
    Job("demo: simulate, pre-train, evaluate", _demonstrates),
)
_WITH_DASK = ("cmelt", "prepare", "simulated", "--records", "8", "--rate", "100", "--dask", "local", "--workers", "1", "--out")
_EXPLAIN = ("cmelt", "explain", "patient.npz", "--class", "afib", "--out")
_EXPORT = ("cmelt", "export", "--onnx", "small", "--out")
_BOARD = "import torch.utils.tensorboard as board; board.SummaryWriter('runs').close(); print('written')"
#: What each extra adds; `docs` builds this repository's site and serves nobody else.
EXTRA: Mapping[str, Job] = {
    "dask": Job("prepare --dask local", _makes("store", *_WITH_DASK, "store")),
    "explain": Job("explain", _makes("why.svg", *_EXPLAIN, "why.svg")),
    "onnx": Job("export --onnx", _makes("graphs", *_EXPORT, "graphs")),
    "serve": Job("serve: one ECG scored over HTTP, the page shown", _serves),
    "tensorboard": Job("TensorBoard's writer", _says("written", "python", "-c", _BOARD)),
}
#: The command that lacks an extra, and has to say which. Training goes on without TensorBoard, and says nothing.
LACKING: Mapping[str, tuple[str, ...]] = {
    "dask": (*_WITH_DASK, "none"),
    "explain": (*_EXPLAIN, "none.svg"),
    "onnx": (*_EXPORT, "none"),
    "serve": ("cmelt", "serve", "--port", "0"),
}


def names_the_extra(where: Environment, extra: str) -> bool:
    """A command that lacks its extra ends with 1, and says what to install."""
    status, said = where.run(*LACKING[extra])
    return status == 1 and f"cmelt[{extra}]" in said and "Traceback" not in said


def tell(line: str) -> None:
    """A line on the console, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
