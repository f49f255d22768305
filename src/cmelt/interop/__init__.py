"""Weights in and out: the authors' release, D-BETA (`load_dbeta`, `import_dbeta`, `save_dbeta`), and ONNX (`export_onnx`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmelt.interop.dbeta_export import save_dbeta
    from cmelt.interop.dbeta_folder import import_dbeta
    from cmelt.interop.dbeta_import import load_dbeta
    from cmelt.interop.onnx import export_onnx

__all__ = ["export_onnx", "import_dbeta", "load_dbeta", "save_dbeta"]

_MODULES = {
    "export_onnx": "onnx",
    "import_dbeta": "dbeta_folder",
    "load_dbeta": "dbeta_import",
    "save_dbeta": "dbeta_export",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"cmelt.interop.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'cmelt.interop' has no attribute {name!r}")
