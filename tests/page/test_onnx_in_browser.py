"""The exported files in a real browser: onnxruntime-web in Chromium computes what PyTorch does."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from cmelt.checkpoints.inference import load_towers
from cmelt.interop import export_onnx
from cmelt.interop.onnx_agreement import Feed, agreement, by_the_towers, ecg_feeds, text_feeds

pytestmark = pytest.mark.slow

PACKAGE = "onnxruntime-web@1.30.0"
PAGE = """<!doctype html><meta charset="utf-8"><title>ONNX</title><script type="module">
import * as ort from "/ort/ort.wasm.bundle.min.mjs";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = "/ort/";
const typed = {float32: (values) => Float32Array.from(values), int64: (values) => BigInt64Array.from(values, BigInt)};
window.embed = async (file, feeds) => {
  const session = await ort.InferenceSession.create(file);
  const found = [];
  for (const feed of feeds) {
    const tensors = {};
    for (const [name, {type, values, dims}] of Object.entries(feed))
      tensors[name] = new ort.Tensor(type, typed[type](values), dims);
    const {embeddings} = await session.run(tensors);
    found.push({dims: embeddings.dims, values: Array.from(embeddings.data)});
  }
  return found;
};
</script>
"""


class Handler(SimpleHTTPRequestHandler):
    """Files of a folder, with the types that modules and WebAssembly must have; silent."""

    extensions_map: ClassVar = {**SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript", ".wasm": "application/wasm"}

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(scope="module")
def ort_web(tmp_path_factory) -> Path:
    """The files of onnxruntime-web: $CMELT_ORT_WEB, or the package as npm has it."""
    if named := os.environ.get("CMELT_ORT_WEB"):
        return Path(named)
    if shutil.which("npm") is None:
        pytest.skip("neither $CMELT_ORT_WEB nor npm: no onnxruntime-web")
    folder = tmp_path_factory.mktemp("npm")
    done = subprocess.run(["npm", "pack", PACKAGE], cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"npm cannot get {PACKAGE}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "dist"


@pytest.fixture(scope="module")
def site(ort_web, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """Address and folder of a site with the export of the bundled model, the runtime and one page."""
    pytest.importorskip("onnxruntime", reason="the extra onnx")
    folder = tmp_path_factory.mktemp("site")
    export_onnx("small", folder / "model", int8=True)
    (folder / "ort").symlink_to(ort_web)
    (folder / "index.html").write_text(PAGE, encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


def as_plain(feed: Feed) -> dict[str, Any]:
    return {
        name: {"type": str(values.dtype), "values": values.ravel().tolist(), "dims": list(values.shape)}
        for name, values in feed.items()
    }


def test_the_browser_computes_the_same_embeddings(browser, site):
    address, _ = site
    trained = load_towers("small")
    settings = trained.towers.settings
    feeds = {"ecg": ecg_feeds(settings.ecg), "text": text_feeds(settings.text, trained.tokenizer)}
    page = browser.new_page()
    page.goto(address)
    page.wait_for_function("window.embed !== undefined")
    for tower, some in feeds.items():
        expected = [by_the_towers(trained.towers, feed) for feed in some]
        for kind in ("", ".int8"):
            answers = page.evaluate(
                "([file, feeds]) => embed(file, feeds)", [f"/model/{tower}{kind}.onnx", list(map(as_plain, some))]
            )
            found = [np.array(one["values"], np.float32).reshape(one["dims"]) for one in answers]
            near = agreement(found, expected)
            print(f"{tower}{kind}: {near}")
            assert near.cosine > 0.99
            assert kind or near.difference < 1e-4
    page.close()
