"""The page's modules, called from Python: arithmetic can be compared with a reference without a click."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

# `tools` are all modules of the page; an ECG comes as base64, not-a-number as null.
_PRELUDE = """async ([code, given]) => {
  const modules = ['ecg', 'layout', 'filter', 'calipers', 'evidence', 'scores', 'questions', 'hits', 'paper', 'screen'];
  const tools = Object.assign({}, ...await Promise.all(modules.map((name) => import(`/${name}.js`))));
  const ecgOf = (text) => tools.decodeEcg(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  return await (new Function('tools', 'ecgOf', 'given', code))(tools, ecgOf, given);
}"""


class Tools:
    """The page's modules, called from here."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def __call__(self, code: str, given: Any = None) -> Any:
        return self.page.evaluate(_PRELUDE, [f"return {code};", given])


def text(content: bytes) -> str:
    """A canonical binary as it is handed to the browser."""
    return base64.b64encode(content).decode()
