"""`cmelt serve`: the model over HTTP, and the page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from cmelt.cli.console import say, words_of
from cmelt.errors import ConfigError

app = typer.Typer(add_completion=False)

TOKEN_VARIABLE = "CMELT_TOKEN"

#: Modules of the extra `serve`, and the packages that have them.
_NEEDED = {
    "fastapi": "fastapi",
    "uvicorn": "uvicorn",
    "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
}


@app.command()
def serve(
    model: Annotated[str, typer.Option(help="A bundled model's name, a run's or a model's folder.")] = "small",
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any free one.")] = 8517,
    index: Annotated[Path | None, typer.Option(help="What `cmelt index` made of a store, with this model: /v1/search.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help=f"File with the token that callers must show; or set {TOKEN_VARIABLE}.")
    ] = None,
    open_without_token: Annotated[
        bool, typer.Option("--open-without-token", help="Listen beyond this machine without a token.")
    ] = False,
    names: Annotated[
        str, typer.Option("--name", help="Further names that callers address it by: ecg.example.org,ward-3; * for any.")
    ] = "",
    device: Annotated[str | None, typer.Option(help="Such as cpu, cuda:1.", show_default="a GPU, else cpu")] = None,
    precision: Annotated[
        Literal["float32", "bfloat16", "int8", "auto"], typer.Option(help="Of the ECG encoder's products.")
    ] = "float32",
    threads: Annotated[int | None, typer.Option(min=1, help="For one batch.", show_default="one a core")] = None,
    megabytes: Annotated[int, typer.Option(min=1, help="Largest body of a request, MiB.")] = 32,
    seconds: Annotated[float, typer.Option(min=0.1, help="Longest a request may take, waiting included.")] = 60.0,
    waiting: Annotated[int, typer.Option(min=1, help="Requests at work or waiting; one more gets 503.")] = 64,
    per_caller: Annotated[
        int | None, typer.Option(min=1, help="Of those, from one address; one more gets 429.", show_default="all of them")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Windows of ECGs that go through the model together.")] = 32,
    batch_wait: Annotated[float, typer.Option(min=0.0, help="Milliseconds that the first of a batch waits for others.")] = 5.0,
    stop: Annotated[float, typer.Option(min=1.0, help="Seconds that requests may take to end on SIGTERM.")] = 20.0,
) -> None:
    """Serve a model over HTTP, with a page for people; on this machine alone unless told otherwise.

    Example: cmelt serve --port 8517, then open http://127.0.0.1:8517

    Needs the extra: pip install "cmelt\\[serve]". Research use only, not a medical device.
    """
    _check_extra()
    from cmelt.serving.http.loaded import Sources
    from cmelt.serving.http.running import serve as run
    from cmelt.serving.http.settings import Limits, ServiceSettings

    limits = Limits(
        body_bytes=megabytes << 20,
        receive_seconds=min(seconds, Limits.receive_seconds),
        answer_seconds=seconds,
        waiting=waiting,
        per_caller=per_caller,
        batch_windows=batch,
        batch_seconds=batch_wait / 1000,
        stop_seconds=stop,
    )
    settings = ServiceSettings(host, port, _token(token_file), open_without_token, words_of(names), limits)
    run(Sources(model, index, device, precision, threads), settings, say)


def _token(file: Path | None) -> str | None:
    """From the file or the environment: on the command line all users of the machine would see it."""
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(file, "the token cannot be read", "write it into the file as one line") from error
    if not token:
        raise ConfigError(file, "holds no token", "write one into it: openssl rand -hex 32")
    return token


def _check_extra() -> None:
    """Say which extra is lacking before anything is loaded."""
    from importlib.util import find_spec

    lacking = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if lacking:
        raise ConfigError("cmelt serve", f"{' and '.join(lacking)} not installed", 'pip install "cmelt[serve]"')
