"""One service in a process of its own for all tests that only ask it, and services of other settings in threads."""

from __future__ import annotations

import pytest

from cmelt.serving.bulk import How
from cmelt.serving.http.loaded import Sources
from cmelt.serving.http.service import Service
from cmelt.serving.http.settings import ServiceSettings
from cmelt.serving.indexing import index_store
from http_calls import in_thread, process


@pytest.fixture(scope="session")
def index_folder(model_folder, tiny_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving-index") / "index"
    index_store(tiny_store, folder, str(model_folder), How(device="cpu", workers=1))
    return folder


@pytest.fixture(scope="session")
def running(model_folder, index_folder, tmp_path_factory):
    with process(tmp_path_factory.mktemp("service"), "--model", model_folder, "--index", index_folder) as found:
        yield found


@pytest.fixture(scope="session")
def asked(running):
    """The service of that process."""
    return running.service


@pytest.fixture
def serving(model_folder):
    """`with serving(token=…, limits=…) as service`: one in a thread; its inner parts as `serving.inner`."""

    def start(**settings):
        start.inner = Service(Sources(str(model_folder), device="cpu"), ServiceSettings(**settings))
        return in_thread(start.inner)

    return start
