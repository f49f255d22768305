"""Services to be treated badly: one as `cmelt serve` starts it, and ones of other limits in threads."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cmelt.serving.http.loaded import Sources
from cmelt.serving.http.service import Service
from cmelt.serving.http.settings import ServiceSettings
from http_calls import in_thread, process
from trained_towers import saved_model

# Last: a script's name must not hide a module of anything else.
_BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
sys.path += [str(_BENCHMARKS), str(_BENCHMARKS / "faults")]


@pytest.fixture(scope="session")
def hardy_folder(tmp_path_factory):
    """A tiny model."""
    return saved_model(tmp_path_factory.mktemp("hardy") / "model")


@pytest.fixture(scope="session")
def hardy(hardy_folder, tmp_path_factory):
    """A service in a process of its own, at work for all of these tests."""
    with process(tmp_path_factory.mktemp("service"), "--model", hardy_folder) as found:
        yield found


@pytest.fixture
def serving(hardy_folder):
    """`with serving(limits=…) as service`: one in a thread; its inner parts as `serving.inner`."""

    def start(**settings):
        start.inner = Service(Sources(str(hardy_folder), device="cpu"), ServiceSettings(**settings))
        return in_thread(start.inner)

    return start
