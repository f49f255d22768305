"""The first signal asks a run to stop, the second is the system's again."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from cmelt.config.settings import TrainingSettings
from cmelt.errors import TrainingError
from cmelt.training import engine
from cmelt.training.interruption import EXIT_CODES, Interruption


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGUSR1", 138)])
def test_the_first_signal_is_noted_and_the_handlers_of_before_come_back(name, code):
    number = getattr(signal, name)
    before = {known: signal.getsignal(known) for known in EXIT_CODES}
    with Interruption() as interruption:
        assert interruption.code is None
        os.kill(os.getpid(), number)
        assert interruption.code == code == 128 + number
        assert {known: signal.getsignal(known) for known in EXIT_CODES} == before
    assert {known: signal.getsignal(known) for known in EXIT_CODES} == before


def test_handlers_come_back_when_the_block_fails():
    before = signal.getsignal(signal.SIGTERM)

    def fail() -> None:
        with Interruption():
            assert signal.getsignal(signal.SIGTERM) != before
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_another_thread_signals_stay_as_they_are():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with Interruption():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.fixture
def gpus(monkeypatch):
    """Pretend to have GPUs, and catch what Fabric would be asked for."""
    asked = {}

    class Caught:
        def __init__(self, **wishes) -> None:
            asked.update(wishes)

        def launch(self) -> None:
            pass

    def pretend(count: int, bf16: bool = True) -> dict:
        monkeypatch.setattr(engine, "Fabric", Caught)
        monkeypatch.setattr(engine.torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(engine.torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(engine.torch.cuda, "is_bf16_supported", lambda: bf16)
        return asked

    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    return pretend


def settings(precision: str = "auto") -> TrainingSettings:
    return TrainingSettings(steps=1, precision=precision)


def test_every_gpu_is_used_unless_told_otherwise(gpus, monkeypatch):
    asked = gpus(4)
    engine.launch(settings())
    assert (asked["accelerator"], asked["devices"], asked["strategy"], asked["precision"]) == ("cuda", 4, "ddp", "bf16-mixed")
    engine.launch(settings(), devices=1)
    assert (asked["devices"], asked["strategy"]) == (1, "auto")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")  # torchrun has started two
    engine.launch(settings())
    assert asked["devices"] == 2
    with pytest.raises(TrainingError, match="4 asked for, 2 were started"):
        engine.launch(settings(), devices=4)
    monkeypatch.delenv("LOCAL_WORLD_SIZE")
    with pytest.raises(TrainingError, match="5 processes on this machine, 4 GPUs"):
        engine.launch(settings(), devices=5)


def test_one_process_on_a_cpu_unless_told_otherwise(gpus):
    asked = gpus(0)
    engine.launch(settings())
    assert (asked["accelerator"], asked["devices"], asked["strategy"], asked["precision"]) == ("cpu", 1, "auto", "32-true")
    engine.launch(settings(), devices=2)
    assert (asked["devices"], asked["strategy"]) == (2, "ddp")


def test_bf16_is_refused_where_the_gpu_has_none(gpus):
    asked = gpus(1, bf16=False)
    engine.launch(settings())
    assert asked["precision"] == "32-true"
    with pytest.raises(TrainingError, match="no bf16"):
        engine.launch(settings("bf16-mixed"))
