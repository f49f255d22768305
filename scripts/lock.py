"""locks/: every file of every package that pyproject.toml asks for, by its SHA-256, in the versions of constraints.txt.

make lock                          # or: python scripts/lock.py; uv asks the package index
python scripts/lock.py --check     # says which would change, and writes none

A lock holds what its subject adds, for all platforms and Pythons at once (markers say which line is whose), so that locks are put
together: `pip install --require-hashes --no-deps -r locks/package.txt -r locks/serve.txt`. PyTorch stands apart: which build is
right depends on the device.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "locks"
OLDEST = "3.11"  # markers are made for this Python and every later one
EXTRAS = ("dask", "docs", "explain", "onnx", "serve", "tensorboard")
SUBJECTS = {
    "package": "What the package needs, PyTorch left out",
    **{extra: f'What the extra "{extra}" adds to package.txt' for extra in EXTRAS},
    "develop": "What `make install` adds to package.txt: every extra, tests, lint, the build",
    "torch": "PyTorch in its default build, and what only that build brings: CUDA on Linux",
}
#: Packages that only PyTorch's default build brings.
WITH_TORCH = re.compile(r"torch$|triton$|nvidia-|cuda-")
PIN = re.compile(r"([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)")
HEADER = """# {subject}.
# Versions as in constraints.txt; hashes of every file that the Python Package Index has of them. Made by `make lock`.
"""


class LockError(RuntimeError):
    """No lock could be made; holds what the resolver said."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the locks that differ, or with --check only name them and return 1. Raises LockError."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="name the locks that would change, write none")
    check = parser.parse_args(arguments).check
    changed = {path: text for path, text in made_locks().items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in changed.items():
        sys.stdout.write(f"{path.relative_to(ROOT)} {'would change' if check else 'written'}\n")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(check and bool(changed))


def made_locks() -> dict[Path, str]:
    """The text of each lock, as the package index has it now. Raises LockError."""
    package = resolved()
    blocks = {extra: added(resolved("--extra", extra), package) for extra in EXTRAS}
    every = resolved("--all-extras")
    blocks |= {"package": package, "develop": added(every, package), "torch": package}
    texts = {}
    for name, subject in SUBJECTS.items():
        taken = [block for pinned, block in sorted(blocks[name].items()) if bool(WITH_TORCH.match(pinned)) == (name == "torch")]
        texts[LOCKS / f"{name}.txt"] = HEADER.format(subject=subject) + "".join(taken)
    return texts


def resolved(*extras: str) -> dict[str, str]:
    """name → its lines (version, marker, hashes), of what pyproject.toml asks for with these extras. Raises LockError."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin") or shutil.which("uv")
    if uv is None:
        raise LockError('uv is not installed: pip install -c constraints.txt uv, or "make lock", which does that')
    command = [uv, "pip", "compile", "--quiet", "--no-config", "--universal", "--python-version", OLDEST, "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "-c", "constraints.txt", "pyproject.toml", *extras]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise LockError(ended.stderr.strip())
    return pinned_blocks(ended.stdout)


def pinned_blocks(text: str) -> dict[str, str]:
    """name → its lines, of a requirements file with hashes. Raises LockError where a package stands twice or without a hash."""
    blocks: dict[str, str] = {}
    for block in re.findall(r"^[^\s#][^\\\n]*(?:\\\n[^\\\n]*)*\n", text, re.MULTILINE):
        pinned = PIN.match(block)
        if pinned is None or pinned[1] in blocks or "--hash=sha256:" not in block:
            raise LockError(f"not one version with hashes: {block.splitlines()[0]}")
        blocks[pinned[1]] = block
    return blocks


def added(blocks: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """Those of the blocks that are not known, or are known for fewer platforms."""
    return {name: block for name, block in blocks.items() if known.get(name) != block}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LockError as error:
        sys.exit(f"lock.py: {error}")
