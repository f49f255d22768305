"""Where a model lies: a run's folder, a model's folder, the name of a bundled model, or of one on a hub."""

from __future__ import annotations

import re
from pathlib import Path

from cmelt.errors import CheckpointError

#: The models that come with the package, a folder each.
BUNDLED = Path(__file__).resolve().parents[1] / "weights"

_CONFIG = "config.json"
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def bundled_models() -> tuple[str, ...]:
    """The names of the models that come with the package."""
    return tuple(sorted(path.parent.name for path in BUNDLED.glob(f"*/{_CONFIG}")))


def find_model(name: str | Path) -> Path:
    """The folder of the model that `name` means.

    What lies on disk counts first: a path that exists is a run's or a model's folder, whatever it is called. A name that is no
    path is a bundled model, and "owner/name" one of the Hugging Face hub, which needs a network once.

    Raises:
        CheckpointError: nothing of that name, a folder without a model, or a run that has not finished.
    """
    path, text = Path(name), str(name)
    if path.exists():
        return _model_inside(path)
    if text in bundled_models():
        return BUNDLED / text
    if _HUB_NAME.fullmatch(text):
        return _from_hub(text)
    known = ", ".join(bundled_models()) or "none in this installation"
    raise CheckpointError(text, "no such folder, and no bundled model", f"give a run's or a model's folder (bundled: {known})")


def _model_inside(path: Path) -> Path:
    """The folder itself, or `model` inside a run's folder."""
    for folder in (path, path / "model"):
        if (folder / _CONFIG).is_file():
            return folder
    if (path / "run.json").is_file():
        raise CheckpointError(path, "the run has not finished: it has no model yet", "go on with cmelt pretrain, same arguments")
    hides = str(path) in bundled_models()
    remedy = f"it hides the bundled model {path}: call from elsewhere" if hides else "give the folder of a finished run or model"
    raise CheckpointError(path, "holds no model", remedy)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return _model_inside(Path(snapshot_download(name)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as fault:
        reason = f"no such folder, and the hub does not give it ({type(fault).__name__})"
        raise CheckpointError(name, reason, "check the name and the network, or give a local folder") from None
