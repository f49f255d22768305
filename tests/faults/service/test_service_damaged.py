"""A damaged model is never served: not begun with, never ready, and said which file it is."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection

import numpy as np
import pytest

from cmelt.errors import CheckpointError
from cmelt.serving.http.loaded import Sources, load
from cmelt.serving.http.question import Question
from http_calls import SOURCE

SCORED = ("model.safetensors", "config.json", "tokenizer.json", "manifest.json")


def damaged(folder, copy, name: str, offset: int):
    """A copy of the model with one bit of one byte turned over."""
    shutil.copytree(folder, copy)
    content = bytearray((copy / name).read_bytes())
    content[offset % len(content)] ^= 1 << (offset % 8)
    (copy / name).write_bytes(content)
    return copy


@pytest.mark.parametrize("name", SCORED)
def test_a_flipped_bit_anywhere_is_found_before_anything_is_served(hardy_folder, tmp_path, name):
    size = (hardy_folder / name).stat().st_size
    for number, offset in enumerate(np.random.default_rng(3).integers(0, size, 5)):
        copy = damaged(hardy_folder, tmp_path / str(number), name, int(offset))
        with pytest.raises(CheckpointError) as found:
            load(Sources(str(copy), device="cpu"), Question("ptbxl-super"))
        assert str(copy) in str(found.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_a_hundred_flipped_bits_and_fifty_lengths_of_the_bundled_model_are_found(tmp_path, name):
    from cmelt.checkpoints.finding import BUNDLED

    whole = BUNDLED / "small"
    content = (whole / name).read_bytes()
    copy = tmp_path / "small"
    shutil.copytree(whole, copy)
    rng = np.random.default_rng(4)
    for offset in rng.integers(0, len(content), 100).tolist():
        (copy / name).write_bytes(content[:offset] + bytes([content[offset] ^ 16]) + content[offset + 1 :])
        with pytest.raises(CheckpointError, match="small"):
            load(Sources(str(copy), device="cpu"), Question("ptbxl-super"))
    for length in rng.integers(0, len(content), 50).tolist():
        (copy / name).write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="small"):
            load(Sources(str(copy), device="cpu"), Question("ptbxl-super"))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_service_of_a_damaged_model_ends_with_1_and_was_never_ready(hardy_folder, tmp_path):
    copy, port = damaged(hardy_folder, tmp_path / "model", "model.safetensors", 5000), free_port()
    command = [sys.executable, "-m", "cmelt.cli", "serve", "--port", str(port), "--model", str(copy), "--device", "cpu"]
    statuses: set[int] = set()
    with subprocess.Popen(command, env={"PYTHONPATH": str(SOURCE), "PATH": ""}, stderr=subprocess.PIPE, text=True) as running:

        def look() -> None:
            while running.poll() is None:
                connection = HTTPConnection("127.0.0.1", port, timeout=5)
                try:
                    connection.request("GET", "/readyz")
                    statuses.add(connection.getresponse().status)
                except OSError:
                    pass  # not listening yet, or no longer
                finally:
                    connection.close()
                time.sleep(0.02)

        looking = threading.Thread(target=look)
        looking.start()
        try:
            _, said = running.communicate(timeout=120)
        finally:
            running.kill()
            looking.join()
    assert running.returncode == 1 and statuses <= {503}
    assert "model.safetensors" in said and "SHA-256" in said and "Traceback" not in said
