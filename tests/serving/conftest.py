"""A tiny model at work, and records to give it."""

from __future__ import annotations

import pytest

from cmelt.serving.loading import load
from trained_towers import saved_model


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("serving") / "model")


@pytest.fixture(scope="session")
def loaded(model_folder):
    return load(model_folder, device="cpu")


@pytest.fixture(scope="session")
def model(loaded):
    return loaded[0]


@pytest.fixture(scope="session")
def processor(loaded):
    return loaded[1]
