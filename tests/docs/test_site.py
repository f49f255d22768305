"""The documentation site, built once as `make docs` does: no warning, no dead link, nothing from elsewhere."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urldefrag

import pytest

import cmelt
from cmelt.cli import COMMANDS
from cmelt.config.settings import Recipe
from cmelt.pages.notice import NOTICE

bs4 = pytest.importorskip("bs4", reason='the site needs the extra: pip install -e ".[docs]"')

ROOT = Path(__file__).resolve().parents[2]
START = "docs/index.html"
#: What the builder makes beside the pages.
OF_THE_BUILDER = {"index.html", "genindex.html", "search.html"}
#: Attributes by which a page makes the browser fetch something, by element.
FETCHED = {
    "script": "src",
    "link": "href",
    "img": "src",
    "source": "src",
    "iframe": "src",
    "object": "data",
    "video": "src",
    "use": "href",
}


class Site(NamedTuple):
    """What a build gave."""

    folder: Path
    status: int
    said: str
    pages: dict[str, bs4.BeautifulSoup]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-n", "-W", "--keep-going", "-c", "docs/site"]
    quiet = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [*command, "-d", str(out / "trees"), ".", str(out / "html")], cwd=ROOT, env=quiet, capture_output=True, text=True
    )
    folder = out / "html"
    pages = {
        path.relative_to(folder).as_posix(): bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in sorted(folder.rglob("*.html"))
    }
    return Site(folder, run.returncode, run.stdout + run.stderr, pages)


def written(site: Site) -> dict[str, bs4.BeautifulSoup]:
    return {name: page for name, page in site.pages.items() if name not in OF_THE_BUILDER}


def test_the_site_builds_without_a_warning(site: Site):
    assert site.status == 0, site.said
    assert "warning" not in site.said.lower(), site.said


def test_every_document_is_a_page_and_every_page_is_in_the_navigation(site: Site):
    documents = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").glob("*.ipynb"), ROOT / "README.md"]
    expected = {path.relative_to(ROOT).with_suffix(".html").as_posix() for path in documents}
    assert expected <= set(site.pages), sorted(expected - set(site.pages))
    linked = {target(START, link["href"])[0] for link in site.pages[START].select(".sidebar-tree a[href]")}
    assert set(written(site)) - {START} <= linked, sorted(set(written(site)) - linked - {START})


def target(page: str, href: str) -> tuple[str, str]:
    """Where a relative link of a page leads: path below the site, and anchor."""
    path, anchor = urldefrag(unquote(href).partition("?")[0] if "?" in href else unquote(href))
    return (os.path.normpath(f"{Path(page).parent.as_posix()}/{path}") if path else page), anchor


def test_every_link_inside_leads_to_a_page_and_a_place_on_it(site: Site):
    places = {name: {element["id"] for element in page.select("[id]")} for name, page in site.pages.items()}
    dead = []
    for name, page in site.pages.items():
        for link in page.select("a[href]"):
            href = link["href"]
            if re.match(r"[a-z]+:", href):
                continue
            path, anchor = target(name, href)
            if not (site.folder / path).is_file() or (anchor and path in places and anchor not in places[path]):
                dead.append((name, href))
    assert not dead
    assert sum(len(page.select("a[href]")) for page in site.pages.values()) > 1000


def test_nothing_is_fetched_from_elsewhere(site: Site):
    fetched = [
        (name, element[attribute])
        for name, page in site.pages.items()
        for tag, attribute in FETCHED.items()
        for element in page.select(f"{tag}[{attribute}]")
    ]
    assert len(fetched) > 100
    assert not [found for found in fetched if re.match(r"(?:[a-z]+:)?//|https?:", found[1])]
    missing = [
        found for found in fetched if not found[1].startswith(("#", "data:")) and not (site.folder / target(*found)[0]).is_file()
    ]
    assert not missing
    for sheet in site.folder.rglob("*.css"):
        outside = re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)\s]*", sheet.read_text(encoding="utf-8"))
        assert not outside, (sheet.name, outside)


def test_every_page_says_at_its_foot_what_it_is_not(site: Site):
    assert "not a medical device" in NOTICE
    for name, page in site.pages.items():
        assert page.footer is not None and NOTICE in page.footer.get_text(), name


def test_every_picture_says_in_words_what_it_shows(site: Site):
    pictures = [(name, picture) for name, page in site.pages.items() for picture in page.select("img")]
    assert len(pictures) > 15
    for name, picture in pictures:
        words = picture.get("alt", "")
        assert re.search(r"[a-z]{3}", words, re.IGNORECASE) and not words.endswith((".png", ".svg")), (name, picture)


def test_a_page_has_one_title_and_says_its_language(site: Site):
    assert all(page.html["lang"] == "en" for page in site.pages.values())
    for name, page in written(site).items():
        assert len(page.select("h1")) == 1, name


def test_the_python_reference_has_every_public_name_with_its_words(site: Site):
    page = site.pages["docs/api.html"]
    for name in set(cmelt.__all__) - {"__version__"}:
        entry = page.find(id=f"cmelt.{name}")
        assert entry is not None, f"docs/api.md lacks {name}"
        assert name == "LEADS" or len(entry.find_next_sibling("dd").get_text().split()) > 5, name
    assert page.find(id="cmelt.Record.seconds") is not None


def test_the_commands_are_all_there_with_their_options(site: Site):
    page = site.pages["docs/commands.html"]
    headings = {heading.get_text().rstrip("¶") for heading in page.select("h2, h3")}
    assert {f"cmelt {name}" for name in COMMANDS} <= headings
    assert "cmelt prepare ptb-xl" in headings
    text = page.get_text()
    for known in ("--prompts <path>", 'pip install "cmelt[explain]"', "default: small"):
        assert known in text, known


def keys(kind: type, path: str = "") -> list[str]:
    """Every key of a recipe, with its section."""
    found = []
    for field in dataclasses.fields(kind):
        inner = field.default_factory() if field.default_factory is not dataclasses.MISSING else None
        nested = dataclasses.is_dataclass(inner)
        found += keys(type(inner), f"{path}{field.name}.") if nested else [f"{path}{field.name}"]
    return found


def test_every_key_of_a_recipe_is_there_with_its_purpose_and_values(site: Site):
    page = site.pages["docs/settings.html"]
    rows = {}
    for table in page.select("table"):
        section = table.find_previous("h2").get_text().rstrip("¶")
        for row in table.select("tbody tr"):
            name, *cells = (cell.get_text(strip=True) for cell in row.select("td"))
            rows[name if section.startswith("The recipe") else f"{section}.{name}"] = cells
    assert set(rows) == set(keys(Recipe))
    assert rows["training.batch"][2:4] == ["128", "128"] or rows["training.batch"][2] == "128"
    assert rows["masking.lead_drop"][1:] == ["number", "0.5", "0.3", "0.3", rows["masking.lead_drop"][-1]]
    assert rows["negatives.strategy"][1].split("`") and "farthest" in rows["negatives.strategy"][1]
    assert not [name for name, cells in rows.items() if not cells[0]], "a key without a purpose"


def test_equations_are_mathml_and_no_tex_is_left_to_read(site: Site):
    source = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    page = site.pages["docs/method.html"]
    displayed = re.findall(r"^\$\$$", source, re.MULTILINE)
    assert len(page.select('math[display="block"]')) == len(displayed) // 2 > 8
    assert "\\frac" not in page.get_text() and "$$" not in page.get_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_nothing_is_asked_of_a_network_and_axe_finds_no_barrier(site: Site, scheme: str):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python brings axe-core")
    chromium = os.environ.get("CMELT_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here: install it, or name it in $CMELT_CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for name in (START, "docs/method.html", "docs/data-card.html"):
            page.goto((site.folder / name).as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, f"{name} is wider than a phone"
            rules = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
            found = axe.Axe().run(page, options=rules).response["violations"]
            assert not found, (name, [(one["id"], one["nodes"][0]["html"]) for one in found])
        browser.close()
    assert asked
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]


def test_what_the_method_page_names_exists():
    """Each test is defined, and each function stands in the file that is linked before it."""
    source = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", source)) - {"test_fault_9_"}
    assert len(named) > 30
    assert not [name for name in named if f"def {name}(" not in tests]
    linked = re.findall(r"\]\(\.\./(src/[\w/]+\.py)\)(?:: ((?:`[\w.]+`(?:, )?)+))?", source)
    assert len(linked) > 15
    for path, names in linked:
        code = (ROOT / path).read_text(encoding="utf-8")
        for name in re.findall(r"`([\w.]+)`", names):
            assert re.search(rf"(?:def|class) {name.rpartition('.')[2]}\b", code), (path, name)
