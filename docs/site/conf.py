"""How the site is built of `docs/`, the README, the change log, the bundled model's card and the notebooks: `make docs`.

Sphinx's source folder is the repository, so that a relative link between two pages is the same on the site and on GitHub.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cmelt
from cmelt.pages.notice import NOTICE

project = "C-MELT"
author = copyright = "The C-MELT developers"
version = release = cmelt.__version__
language = "en"

extensions = [
    "myst_nb",  # Markdown and notebooks
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "mathml",
    "generated",
    "repairs",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "notebooks/**.ipynb",
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "benchmarks/RESULTS.md",
    "src/cmelt/weights/*/README.md",
]
exclude_patterns = [".*", "build", "docs/site", "tests", "runs", "stores", "trained", "demo-output", "**/.ipynb_checkpoints"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"  # a test executes them; what they print is kept in the files

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # the signature has them
default_role = "code"
smartquotes = False  # "--option" is an option
# The types of other libraries, and of ours that have no entry of their own, stand in signatures as plain words.
nitpick_ignore_regex = [("py:.*", r"(?!cmelt\.\w+$).*")]

templates_path = ["templates"]
html_theme = "furo"
html_title = "C-MELT"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_additional_pages = {"index": "start.html"}  # the folder's front door; pages keep the repository's paths
html_show_sourcelink = False
html_context = {"notice": NOTICE}
html_theme_options: dict[str, object] = {"top_of_page_buttons": []}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
