"""Files made to run code, to take all memory, or to have other files opened: one function each, into a folder of its own."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from array_files import write_hdf5, write_matlab
from binary_files import dicom, save_dicom
from cmelt.publishing import seal
from ecg_files import heart, write_wfdb
from vendor_files import aecg, aecg_series, aecg_set

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Place:
    """Where an artefact is made.

    Attributes:
        folder: its own.
        outside: a folder whose files nothing may open.
        canary: a file that appears if foreign code has run.
    """

    folder: Path
    outside: Path
    canary: Path


class Bomb:
    """Unpickled, it runs a command that makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, (f"touch {self.canary}",)


def _bytes(place: Place, name: str, content: bytes) -> Path:
    path = place.folder / name
    path.write_bytes(content)
    return path


def _text(place: Place, name: str, content: str) -> Path:
    return _bytes(place, name, content.encode())


def zeros(megabytes: int) -> bytes:
    """So many megabytes of zeros, packed by gzip in many members."""
    return gzip.compress(bytes(MEGABYTE), 9) * megabytes


# --- pickles -----------------------------------------------------------------------------------------------------------------


def pickle_in_npy(place: Place) -> Path:
    """An array of objects."""
    np.save(place.folder / "e.npy", np.array([Bomb(place.canary)], dtype=object), allow_pickle=True)
    return place.folder / "e.npy"


def pickle_in_npz(place: Place) -> Path:
    """The signal as an array of objects."""
    facts = {"fs": 100, "unit": "mV", "leads": np.array(["I"])}
    np.savez(place.folder / "e.npz", signal=np.array([Bomb(place.canary)], dtype=object), **facts)
    return place.folder / "e.npz"


def raw_pickle_in_npz(place: Place) -> Path:
    """Members that are pickles outright: numpy.load unpickles such a member when it is asked to."""
    path = place.folder / "e.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fs.npy", pickle.dumps(Bomb(place.canary)))
        archive.writestr("signal.npy", pickle.dumps(Bomb(place.canary)))
    return path


def pickle_named_mat(place: Place) -> Path:
    """A pickle under a MATLAB file's name."""
    return _bytes(place, "e.mat", pickle.dumps(Bomb(place.canary)))


def function_handle_in_mat(place: Place) -> Path:
    """A v5 file whose signal is a function handle (class 16)."""
    content = bytearray(write_matlab(place.folder / "e.mat", heart()).read_bytes())
    kind, size = struct.unpack_from("<II", content, 128)
    inner = bytearray(zlib.decompress(bytes(content[136 : 136 + size])))
    inner[16] = 16  # the class in the array flags
    packed = zlib.compress(bytes(inner))
    return _bytes(place, "e.mat", bytes(content[:128]) + struct.pack("<II", kind, len(packed)) + packed)


def pickle_in_pt(place: Place) -> Path:
    """A PyTorch checkpoint as `torch.save` writes one, with a bomb among its tensors."""
    import torch

    torch.save({"model": {"weight": torch.zeros(2), "bomb": Bomb(place.canary)}}, place.folder / "e.pt")
    return place.folder / "e.pt"


def old_pickle_in_pt(place: Place) -> Path:
    """A PyTorch checkpoint of the old form: a bare pickle."""
    return _bytes(place, "e.pt", pickle.dumps({"model": Bomb(place.canary)}, protocol=2))


# --- files that lead elsewhere -----------------------------------------------------------------------------------------------


def _hdf5(place: Place, signal: Callable[[Any], None]) -> Path:
    import h5py

    with h5py.File(place.folder / "e.h5", "w") as file:
        file.attrs["rate"], file.attrs["unit"] = 100.0, "mV"
        file.create_dataset("leads", data=["I", "II"])
        signal(file)
    return place.folder / "e.h5"


def external_link(place: Place) -> Path:
    """HDF5: the signal is a link into another file."""
    import h5py

    target = h5py.ExternalLink(str(place.outside / "secret.h5"), "/signal")
    return _hdf5(place, lambda file: file.__setitem__("signal", target))


def external_storage(place: Place) -> Path:
    """HDF5: the signal's bytes are another file's."""
    parts = [(str(place.outside / "secret.txt"), 0, 16)]
    return _hdf5(place, lambda file: file.create_dataset("signal", (2, 4), "i2", external=parts))


def virtual_dataset(place: Place) -> Path:
    """HDF5: the signal is a view of another file's dataset."""
    import h5py

    layout = h5py.VirtualLayout((12, 1000), "f4")
    layout[:] = h5py.VirtualSource(str(place.outside / "secret.h5"), "signal", (12, 1000))
    return _hdf5(place, lambda file: file.create_virtual_dataset("signal", layout))


def link_in_wfdb(place: Place) -> Path:
    """A signal file that is a symbolic link out of the folder."""
    header = write_wfdb(place.folder / "e", heart())
    header.with_suffix(".dat").unlink()
    header.with_suffix(".dat").symlink_to(place.outside / "secret.txt")
    return header


def path_in_wfdb(place: Place) -> Path:
    """A header that names a signal file elsewhere."""
    header = write_wfdb(place.folder / "e", heart())
    header.write_text(header.read_text().replace("e.dat", str(place.outside / "secret.txt")))
    return header


def slip_in_npz(place: Place) -> Path:
    """An archive whose members would be unpacked elsewhere."""
    array = io.BytesIO()
    np.save(array, heart())
    with zipfile.ZipFile(place.folder / "e.npz", "w") as archive:
        archive.writestr("../../outside/planted.npy", array.getvalue())
        archive.writestr("/tmp/planted-by-an-archive.npy", array.getvalue())
    return place.folder / "e.npz"


# --- XML ---------------------------------------------------------------------------------------------------------------------


def _xml(place: Place, doctype: str, inside: str = "&a;") -> Path:
    body = aecg(aecg_series(aecg_set(heart())))
    head, _, rest = body.partition("<AnnotatedECG")
    begin, _, end = rest.partition(">")
    return _text(place, "e.xml", f"{head}{doctype}<AnnotatedECG{begin}>{inside}{end}")


def entity_bomb(place: Place) -> Path:
    """A billion laughs."""
    levels = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    return _xml(place, f'<!DOCTYPE AnnotatedECG [<!ENTITY a "laugh">{levels}]>', "&j;")


def external_entity(place: Place) -> Path:
    """A file of this machine as an entity."""
    return _xml(place, f'<!DOCTYPE AnnotatedECG [<!ENTITY a SYSTEM "file://{place.outside}/secret.txt">]>')


def external_dtd(place: Place) -> Path:
    """Declarations to be fetched from a file."""
    return _xml(place, f'<!DOCTYPE AnnotatedECG SYSTEM "file://{place.outside}/secret.txt">', "")


def parameter_entity(place: Place) -> Path:
    """The same by way of a parameter entity."""
    return _xml(place, f'<!DOCTYPE AnnotatedECG [<!ENTITY % a SYSTEM "file://{place.outside}/secret.txt"> %a;]>', "")


def deep_xml(place: Place) -> Path:
    """A million elements, each in the other."""
    return _text(place, "e.xml", '<?xml version="1.0"?><AnnotatedECG xmlns="urn:hl7-org:v3">' + "<a>" * 1_000_000)


# --- bombs -------------------------------------------------------------------------------------------------------------------


def gzip_bomb(place: Place) -> Path:
    """4 GB in 4 MB, under an XML file's name."""
    return _bytes(place, "e.xml.gz", zeros(4096))


def gzip_bomb_of_samples(place: Place) -> Path:
    """4 GB of samples whose number the header leaves open."""
    header = write_wfdb(place.folder / "e", heart())
    header.write_text(header.read_text().replace(" 1000\n", "\n", 1))
    header.with_suffix(".dat").unlink()
    _bytes(place, "e.dat.gz", zeros(4096))
    return header


def zip_bomb(place: Place) -> Path:
    """An archive whose signal has 288 MB of zeros."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (12, 6 << 20)})
    with zipfile.ZipFile(place.folder / "e.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("signal.npy", "w") as member:
        member.write(header.getvalue())
        for _ in range(12 * 4 * 6):
            member.write(bytes(MEGABYTE))
    return place.folder / "e.npz"


def matlab_bomb(place: Place) -> Path:
    """A compressed variable of 256 MB of zeros."""
    packer = zlib.compressobj(9)
    start = struct.pack("<II", 14, (1 << 28) - 8)
    packed = packer.compress(start) + b"".join(packer.compress(bytes(MEGABYTE)) for _ in range(255)) + packer.flush()
    good = write_matlab(place.folder / "e.mat", heart()).read_bytes()
    return _bytes(place, "e.mat", good[:128] + struct.pack("<II", 15, len(packed)) + packed)


def dicom_bomb(place: Place) -> Path:
    """A deflated data set of 256 MB of zeros."""
    whole = save_dicom(place.folder / "e.dcm", dicom(), "1.2.840.10008.1.2.1.99").read_bytes()
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(struct.pack("<HH2sHI", 0x5400, 0x1010, b"OW", 0, 1 << 28))
    body += b"".join(packer.compress(bytes(MEGABYTE)) for _ in range(256)) + packer.flush()
    return _bytes(place, "e.dcm", whole[: 144 + struct.unpack_from("<I", whole, 140)[0]] + body)


def hdf5_bomb(place: Place) -> Path:
    """A dataset that announces 8 GB and has none of them."""
    return _hdf5(place, lambda file: file.create_dataset("signal", (2, 1 << 30), "f4", chunks=(1, 1 << 20), compression="gzip"))


# --- models ------------------------------------------------------------------------------------------------------------------


def _model(place: Place, model: Path) -> Path:
    """A copy of a good model's folder, unsealed."""
    copy = place.folder / "model"
    shutil.copytree(model, copy)
    (copy / "manifest.json").unlink()
    return copy


def _sealed(copy: Path, model: Path) -> Path:
    """The copy with a manifest that fits it: who can write the folder can do that, too."""
    said = json.loads((model / "manifest.json").read_text())
    seal(copy, {key: value for key, value in said.items() if key not in ("files", "sha256", "shares")})
    return copy


def absurd_safetensors_header(place: Place, model: Path) -> Path:
    """Weights whose header claims to be of 2^62 bytes."""
    copy = _model(place, model)
    (copy / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 62) + b"{}" + bytes(64))
    return _sealed(copy, model)


def absurd_safetensors_shape(place: Place, model: Path) -> Path:
    """Weights of which one tensor claims a quadrillion numbers."""
    copy = _model(place, model)
    header = json.dumps({"a": {"dtype": "F32", "shape": [1 << 25, 1 << 25], "data_offsets": [0, 1 << 52]}}).encode()
    (copy / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))
    return _sealed(copy, model)


def code_in_config(place: Place, model: Path) -> Path:
    """A configuration that names a module of its own to be imported, and a tokenizer that does the same."""
    copy = _model(place, model)
    (copy / "evil.py").write_text(f"import pathlib\npathlib.Path({str(place.canary)!r}).touch()\nclass Evil: pass\n")
    maps = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil", "AutoTokenizer": ["evil.Evil", None]}
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((copy / name).read_text())
        (copy / name).write_text(json.dumps({**content, "auto_map": maps, "model_type": "evil", "tokenizer_class": "Evil"}))
    return _sealed(copy, model)


def pickled_weights(place: Place, model: Path) -> Path:
    """A model's folder with a pickle where PyTorch's weights used to be, and none of ours."""
    copy = _model(place, model)
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(place.canary), protocol=2))
    return _sealed(copy, model)


def linked_weights(place: Place, model: Path) -> Path:
    """Weights that are a symbolic link out of the folder."""
    copy = _model(place, model)
    (copy / "model.safetensors").unlink()
    _sealed(copy, model)
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["sha256"]
    manifest["files"]["model.safetensors"] = {"bytes": (place.outside / "secret.txt").stat().st_size, "sha256": "0" * 64}
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (copy / "manifest.json").write_text(json.dumps({**manifest, "sha256": digest}))
    (copy / "model.safetensors").symlink_to(place.outside / "secret.txt")
    return copy


# --- settings ----------------------------------------------------------------------------------------------------------------


def tag_in_yaml(place: Place) -> Path:
    """A tag that makes YAML loaders call a function."""
    return _text(place, "e.yaml", f'name: !!python/object/apply:os.system ["touch {place.canary}"]\n')


def module_tag_in_yaml(place: Place) -> Path:
    """A tag that makes YAML loaders import a module."""
    return _text(place, "e.yaml", "name: !!python/module:antigravity\nsteps: !!python/name:os.system\n")


def alias_bomb(place: Place) -> Path:
    """Ten lines that stand for a billion words."""
    lines = ["a0: &a0 [laugh, laugh, laugh, laugh, laugh, laugh, laugh, laugh, laugh, laugh]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return _text(place, "e.yaml", "\n".join([*lines, "name: *a8"]) + "\n")


def deep_yaml(place: Place) -> Path:
    """A hundred thousand lists, each in the other."""
    return _text(place, "e.yaml", "name: " + "[" * 100_000 + "\n")


def code_in_yaml(place: Place) -> Path:
    """Words that an evaluated configuration would run."""
    words = f"${{oc.env:HOME}} $(touch {place.canary}) `touch {place.canary}` __import__('os').system('touch {place.canary}')"
    return _text(place, "e.yaml", f"name: evil\nbase: base\nsteps: {json.dumps(words)}\n")


def code_in_matrix_names(place: Place) -> Path:
    """An HDF5 file whose facts are code; read as text, they are no rate."""
    return write_hdf5(place.folder / "e.h5", heart(), rate=f"__import__('os').system('touch {place.canary}')")  # type: ignore[arg-type]


#: Name → what opens it ("read", "checkpoint", "model", "recipe"), and what makes it.
ARTEFACTS: Mapping[str, tuple[str, Callable[..., Path]]] = {
    "pickle in .npy": ("read", pickle_in_npy),
    "pickle in .npz": ("read", pickle_in_npz),
    "bare pickles in .npz": ("read", raw_pickle_in_npz),
    "pickle named .mat": ("read", pickle_named_mat),
    "function handle in .mat": ("read", function_handle_in_mat),
    "pickle in .pt": ("checkpoint", pickle_in_pt),
    "bare pickle in .pt": ("checkpoint", old_pickle_in_pt),
    "HDF5 external link": ("read", external_link),
    "HDF5 external storage": ("read", external_storage),
    "HDF5 virtual dataset": ("read", virtual_dataset),
    "HDF5 code for a rate": ("read", code_in_matrix_names),
    "WFDB signal file is a link": ("read", link_in_wfdb),
    "WFDB signal file elsewhere": ("read", path_in_wfdb),
    "zip-slip in .npz": ("read", slip_in_npz),
    "XML entity bomb": ("read", entity_bomb),
    "XML external entity": ("read", external_entity),
    "XML parameter entity": ("read", parameter_entity),
    "XML a million levels deep": ("read", deep_xml),
    "gzip bomb": ("read", gzip_bomb),
    "gzip bomb of samples": ("read", gzip_bomb_of_samples),
    "zip bomb": ("read", zip_bomb),
    "MATLAB bomb": ("read", matlab_bomb),
    "DICOM bomb": ("read", dicom_bomb),
    "HDF5 bomb": ("read", hdf5_bomb),
    "safetensors header of 2^62 bytes": ("model", absurd_safetensors_header),
    "safetensors of a quadrillion numbers": ("model", absurd_safetensors_shape),
    "code in a model's configuration": ("model", code_in_config),
    "pickled weights in a model's folder": ("model", pickled_weights),
    "a model's weights are a link": ("model", linked_weights),
    "YAML tag that calls": ("recipe", tag_in_yaml),
    "YAML tag that imports": ("recipe", module_tag_in_yaml),
    "YAML alias bomb": ("recipe", alias_bomb),
    "YAML a hundred thousand levels deep": ("recipe", deep_yaml),
    "code in YAML values": ("recipe", code_in_yaml),
}
#: Read without harm: what the declaration points at is not needed and not fetched.
HARMLESS: Mapping[str, tuple[str, Callable[..., Path]]] = {"XML external DTD": ("read", external_dtd)}
