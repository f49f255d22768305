"""The page in a browser, by mouse: what is drawn, measured, scored, compared, searched, saved and refused."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from typing import TYPE_CHECKING

import numpy as np
import pytest
from paper_on_screen import PIXELS_A_MM, on_screen, peaks, settled, show_example, trace
from stand_in import FIRST, FOR_AT, HEIGHT, LEADS, NOTICE, PERIOD, TOKEN, StandIn, canonical, spikes

if TYPE_CHECKING:
    from playwright.sync_api import Page


def upload(page: Page, name: str, content: bytes) -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "application/octet-stream", "buffer": content})


def drag(page: Page, start: tuple[float, float], stop: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2)
    page.mouse.move(*stop)
    page.mouse.up()


def _height(points: np.ndarray) -> float:
    return float(np.median(points[:, 1]) - points[:, 1].min())


def score(page: Page, lines: str | None = None) -> None:
    if lines is not None:
        page.fill("#findings", lines)
    page.click("#ask-form button")
    page.wait_for_selector("#scored:not([hidden])")
    settled(page)


def test_the_paper_is_in_true_size_and_the_trace_is_the_signal(page: Page) -> None:
    show_example(page, "known")
    paper = page.locator("#pane-a svg.ecg").bounding_box()
    assert paper and paper["width"] == pytest.approx((10 + 6 + 250) * PIXELS_A_MM, abs=0.1)
    tops = peaks(trace(page, "II"))  # the rhythm strip: all of it
    assert len(tops) == len(np.arange(FIRST, 10, PERIOD))
    np.testing.assert_allclose(tops[:, 0], 13 + 25 * np.arange(FIRST, 10, PERIOD), atol=0.02)
    baseline = np.median(trace(page, "II")[:, 1])
    np.testing.assert_allclose(baseline - tops[:, 1], 10 * HEIGHT, atol=0.03)
    at = [on_screen(page, x, y)[0] for x, y in tops[:2]]
    assert at[1] - at[0] == pytest.approx(PERIOD * 25 * PIXELS_A_MM, abs=0.1)


@pytest.mark.slow
def test_the_pixels_are_those_of_the_signal(page: Page) -> None:
    show_example(page, "known")
    tops = peaks(trace(page, "II"))
    page.evaluate("document.querySelector('#pane-a .scroller').scrollTo(0, 400)")
    x, y = on_screen(page, *tops[3])
    box = {"x": round(x) - 8, "y": round(y) - 8, "width": 16, "height": 40}
    image = page.screenshot(clip=box)
    dark = np.array(page.evaluate(_PIXELS, b64encode(image).decode())).sum(axis=2) < 300
    rows = np.flatnonzero(dark.any(axis=1))
    assert abs(rows[0] - 8) <= 2  # ink begins where the spike's top is
    columns = np.flatnonzero(dark[rows[0] + 2 : rows[0] + 6].any(axis=0))
    assert abs(columns.mean() - 8) <= 2


_TO_THE_RHYTHM_STRIP = """() => {
  const scroller = document.querySelector('#pane-a .scroller');
  scroller.scrollTo(0, 99999);
  scroller.scrollIntoView({block: 'end'});
}"""
_PIXELS = """async (text) => {
  const image = await createImageBitmap(new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]));
  const canvas = new OffscreenCanvas(image.width, image.height);
  const draw = canvas.getContext('2d');
  draw.drawImage(image, 0, 0);
  const all = [...draw.getImageData(0, 0, image.width, image.height).data];
  const pixel = (x, y) => all.slice(4 * (y * image.width + x), 4 * (y * image.width + x) + 3);
  return Array.from({length: image.height}, (_, y) => Array.from({length: image.width}, (_, x) => pixel(x, y)));
}"""


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "traces"), [("3x4+1", 13), ("6x2", 12), ("12x1", 12)])
def test_every_layout_speed_and_gain_can_be_had(page: Page, layout: str, traces: int) -> None:
    show_example(page, "known")
    page.select_option("#layout", layout)
    assert page.locator("#pane-a path.trace").count() == traces
    for speed, gain in ((12.5, 5), (50, 20)):
        page.select_option("#speed", str(speed))
        page.select_option("#gain", str(gain))
        tops = peaks(trace(page, "II"))
        np.testing.assert_allclose(np.diff(tops[:, 0]), PERIOD * speed, atol=0.03)
        assert f"{speed} mm/s   {gain} mm/mV" in page.text_content("#pane-a .footline")
        pulse = page.locator("#pane-a .pulse").first.get_attribute("d")
        assert f"v-{gain}h{0.2 * speed:g}v{gain}" in pulse  # a millivolt for a fifth of a second


def test_calipers_drawn_by_mouse_say_milliseconds_and_millivolts(page: Page) -> None:
    show_example(page, "known")
    for _ in range(6):
        page.click("#larger")
    page.click("#calipers")
    points = trace(page, "II")
    tops, baseline = peaks(points), np.median(points[:, 1])
    page.evaluate(_TO_THE_RHYTHM_STRIP)
    # a press near a point of the calipers would take hold of it: this one is elsewhere
    drag(page, on_screen(page, tops[0][0], baseline), on_screen(page, *tops[1]))
    reading = page.inner_text("#pane-a .reading")
    said = re.search(r"(\d+) ms \((\d+) bpm\), ([\d.]+) mV, lead (\w+) from ([\d.]+) s", reading)
    assert said
    assert float(said[1]) == pytest.approx(1000 * PERIOD, abs=4)  # a pixel is 2.8 ms here
    assert float(said[2]) == pytest.approx(60 / PERIOD, abs=1)
    assert float(said[3]) == pytest.approx(HEIGHT, abs=0.02)
    assert said[4] == "II" and float(said[5]) == pytest.approx(FIRST, abs=0.01)
    page.click("#march")
    marched = [line.get_attribute("d") for line in page.locator("#pane-a .marched").all()]
    at = np.array([float(re.match(r"M([\d.]+)", d)[1]) for d in marched])
    assert (
        np.abs((at - 13) / 25 / PERIOD - FIRST / PERIOD - np.rint((at - 13) / 25 / PERIOD - FIRST / PERIOD)).max() < 0.05
    )  # on every beat
    page.click("#clear")
    assert page.inner_text("#pane-a .reading") == ""


@pytest.mark.slow
def test_a_point_of_the_calipers_can_be_taken_and_moved(page: Page) -> None:
    show_example(page, "known")
    page.click("#calipers")
    before = page.inner_text("#pane-a .reading")
    point = page.locator("#pane-a .point.active").bounding_box()
    assert point
    middle = (point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    drag(page, middle, (middle[0] + 0.2 * 25 * PIXELS_A_MM, middle[1]))
    longer = [int(re.search(r"(\d+) ms", said)[1]) for said in (before, page.inner_text("#pane-a .reading"))]
    assert longer[1] - longer[0] == pytest.approx(200, abs=12)


@pytest.mark.slow
def test_zoom_keeps_the_scale_said_and_fit_shows_the_whole_width(page: Page) -> None:
    show_example(page, "known")
    page.set_viewport_size({"width": 700, "height": 900})
    page.click("#fit")
    assert (
        page.evaluate(
            "(() => { const s = document.querySelector('#pane-a .scroller'); return s.scrollWidth - s.clientWidth; })()"
        )
        <= 2
    )
    assert re.match(r"6\d % of true size \(screen not calibrated\)", page.inner_text("#scale"))
    page.click("#true-size")
    assert page.locator("#pane-a svg.ecg").bounding_box()["width"] == pytest.approx(266 * PIXELS_A_MM, abs=0.1)
    page.click("#smaller")
    assert "80 %" in page.inner_text("#scale")
    page.click("#larger")
    start = page.locator("#pane-a .scroller").bounding_box()
    page.evaluate("document.querySelector('#pane-a .scroller').scrollTo(0, 0)")
    drag(page, (start["x"] + 500, start["y"] + 100), (start["x"] + 200, start["y"] + 100))
    assert page.evaluate("document.querySelector('#pane-a .scroller').scrollLeft") == pytest.approx(300, abs=2)


@pytest.mark.parametrize(("width", "beside"), [(1440, True), (900, False)])
def test_the_paper_fits_and_scores_stand_beside_it_where_there_is_room(page: Page, width: int, beside: bool) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    show_example(page, "known")
    paper, asking = (page.locator(name).bounding_box() for name in ("#pane-a svg.ecg", "#asking"))
    true = 266 * PIXELS_A_MM
    assert paper["width"] == pytest.approx(true, abs=0.1) if beside else width - 40 < paper["width"] < width
    assert (asking["x"] >= paper["x"] + paper["width"]) == beside == (asking["y"] < paper["y"] + paper["height"])
    page.evaluate("scrollTo(0, 99999)")
    assert (page.locator("#pane-a svg.ecg").bounding_box()["y"] > 0) == beside  # and stays in view when one reads on
    page.click("#true-size")  # who has chosen a size keeps it
    show_example(page, "other")
    assert page.locator("#pane-a svg.ecg").bounding_box()["width"] == pytest.approx(true, abs=0.1)
    if width == 900:
        page.click("#fit")
        page.select_option("#speed", "12.5")
        page.click("#fit")  # narrower paper grows to the width, too
        assert page.locator("#pane-a svg.ecg").bounding_box()["width"] == pytest.approx(width, abs=60)


def test_what_happens_is_told_within_view_however_far_down_one_is(page: Page, stand_in: StandIn) -> None:
    show_example(page, "known")
    stand_in.refusal = (422, {"what": "the ECG", "reason": "no usable lead", "remedy": "leave it out"}, {})
    for size in ((1000, 700), (844, 390)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.evaluate("document.querySelector('#ask-form button').scrollIntoView({block: 'end'})")
        assert page.evaluate("scrollY") > 0
        page.click("#ask-form button")
        page.wait_for_selector("#problem:not([hidden])")
        settled(page)
        problem = page.locator("#problem").bounding_box()
        assert problem["y"] >= 0 and problem["y"] + problem["height"] <= size[1]
    stand_in.refusal = None


@pytest.mark.slow
def test_a_calibrated_screen_stretches_the_paper(page: Page, stand_in: StandIn) -> None:
    show_example(page, "known")
    page.click("#screen")
    page.fill("#card-width", "120")
    assert page.locator("#card").bounding_box()["width"] == pytest.approx(85.6 * 1.2 * PIXELS_A_MM, abs=0.2)
    page.click("#card-keep")
    assert page.locator("#pane-a svg.ecg").bounding_box()["width"] == pytest.approx(266 * 1.2 * PIXELS_A_MM, abs=0.2)
    assert page.inner_text("#scale") == "100 % of true size"
    page.reload()
    settled(page)
    show_example(page, "known")
    assert page.locator("#pane-a svg.ecg").bounding_box()["width"] == pytest.approx(266 * 1.2 * PIXELS_A_MM, abs=0.2)
    page.click("#screen")
    page.click("#card-forget")
    assert "not calibrated" in page.inner_text("#scale")


@pytest.mark.slow
def test_a_filter_is_stated_and_changes_the_drawing_alone(page: Page, stand_in: StandIn) -> None:
    show_example(page, "known")
    assert "filter off" in page.text_content("#pane-a .footline")
    assert _height(trace(page, "II")) == pytest.approx(10 * HEIGHT, abs=0.03)
    page.select_option("#filter", "monitor")
    assert "filter 0.67–40 Hz, display only" in page.text_content("#pane-a .footline")
    assert _height(trace(page, "II")) < 9.5 * HEIGHT  # a spike of 40 ms loses height at 40 Hz
    score(page)
    assert stand_in.asked[-1][2] == stand_in.examples["known"]  # what is scored is what was recorded


@pytest.mark.slow
def test_a_minute_is_shown_in_parts_and_as_one_strip(page: Page) -> None:
    show_example(page, "minute")
    assert page.inner_text("#pane-a .time output") == "0–10 of 60 s"
    page.click("#pane-a .time button:last-child")
    assert page.inner_text("#pane-a .time output") == "10–20 of 60 s"
    tops = peaks(trace(page, "II"))
    beats = ((tops[:, 0] - 13) / 25 + 10 - FIRST) / PERIOD
    np.testing.assert_allclose(beats, np.rint(beats), atol=0.02)
    assert 12 <= beats[0] <= 13
    page.select_option("#layout", "12x1")
    assert page.locator("#pane-a .time").is_hidden()
    assert len(peaks(trace(page, "II"))) == len(np.arange(FIRST, 60, PERIOD))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "warnings", "on_paper"),
    [
        ("two-leads", [f"{', '.join(LEADS[2:])}: not recorded"], "not recorded"),
        ("flat", ["poor quality", "all leads: flat"], "flat"),
        ("gaps", ["I and II look swapped", "V1: gaps", "mains hum at 50 Hz"], "swapped?"),
    ],
)
def test_faults_are_said_and_marked_on_the_paper(page: Page, name: str, warnings: list[str], on_paper: str) -> None:
    show_example(page, name)
    said = page.inner_text("#pane-a .marks")
    assert [warning for warning in warnings if warning not in said] == []
    assert on_paper in page.locator("#pane-a svg.ecg").text_content()
    assert page.locator("#pane-a .faulty").count() > 0


@pytest.mark.slow
def test_what_was_not_measured_is_not_drawn(page: Page) -> None:
    show_example(page, "gaps")
    page.select_option("#layout", "12x1")
    x = trace(page, "V1")[:, 0]
    assert not ((x > 13 + 2 * 25 + 0.1) & (x < 13 + 4 * 25 - 0.1)).any()
    assert page.locator('#pane-a path.trace[data-lead="V1"]').get_attribute("d").count("M") == 2


def test_a_hostile_record_is_text_and_nothing_else(page: Page) -> None:
    show_example(page, "hostile")
    for layout in ("6x2", "12x1", "3x4+1"):
        page.select_option("#layout", layout)
    score(page, "<script>document.title = 'hacked'</script>")
    assert page.title().startswith("C-MELT")
    assert page.locator("#pane-a img, #pane-a script, #scored script").count() == 0
    assert "<img src=x" in page.inner_text("#pane-a .facts")


def test_scores_are_sorted_with_probability_interval_and_notice(page: Page, stand_in: StandIn) -> None:
    show_example(page, "known")
    score(page, "is there atrial fibrillation?\nLBBB\nnormal ECG\nLBBB")
    assert stand_in.asked[-1][1]["prompts"] == ["is there atrial fibrillation?", "LBBB", "normal ECG"]
    rows = [row.inner_text().split("\t") for row in page.locator("#score-table tbody tr").all()]
    assert [row[0].split("\n")[0] for row in rows] == ["is there atrial fibrillation?", "LBBB", "normal ECG"]
    told = [row.inner_text() for row in page.locator("#score-table .told").all()]
    assert told == ["taken as the statement atrial-fibrillation", *["scored as typed, no probability"] * 2]
    assert rows[0][-1] == "73 % (61–82 %)" and rows[1][-1] == "not calibrated" and "cannot tell" in rows[2][-1]
    assert page.inner_text("#score-notice") == NOTICE
    assert "too noisy" in page.inner_text("#score-flags")
    page.select_option("#order", "name")
    names = [row.inner_text() for row in page.locator("#score-table tbody th").all()]
    assert names == sorted(names, key=str.lower)
    page.select_option("#set", "0")
    score(page)
    assert "atrial-fibrillation" in stand_in.asked[-1][1]["classes"]
    page.select_option("#set", "1")
    score(page)
    assert stand_in.asked[-1][1] == {"task": ["ptbxl-super"]}


@pytest.mark.slow
def test_nothing_typed_is_said_to_be_nothing(page: Page) -> None:
    show_example(page, "known")
    page.fill("#findings", " \n")
    page.click("#ask-form button")
    assert "type one a line" in page.inner_text("#problem")


def test_a_click_on_a_finding_shows_where_its_evidence_lies(page: Page, stand_in: StandIn) -> None:
    show_example(page, "known")
    score(page, "LBBB\nnormal ECG")
    page.click("#score-table button:has-text('LBBB')")
    page.wait_for_selector("#evidence:not([hidden])")
    settled(page)
    path, asked, _ = stand_in.asked[-1]
    assert (path, asked) == ("/v1/explain", {"prompts": ["LBBB"], "method": ["integrated-gradients"]})
    assert "Most speaks for it in V1, 3.20–3.40 s" in page.inner_text("#evidence-text")
    assert "This sheet does not show it" in page.inner_text("#evidence-text")  # V1 stands for 5–7.5 s in columns
    page.click("#evidence-text button.place")
    assert page.input_value("#layout") == "12x1"
    assert "This sheet does not show it" not in page.inner_text("#evidence-text")
    scroller = page.locator("#pane-a .scroller").bounding_box()
    at = on_screen(page, 13 + 25 * sum(FOR_AT) / 2, 60)[0]
    assert scroller["x"] < at < scroller["x"] + scroller["width"]
    bars = page.locator("#pane-a .evidence .for").evaluate_all(
        "(all) => all.map((one) => [Number(one.getAttribute('x')), Number(one.getAttribute('width'))])"
    )
    assert min(x for x, _ in bars) == pytest.approx(13 + 25 * FOR_AT[0], abs=0.05)
    assert max(x + width for x, width in bars) == pytest.approx(13 + 25 * FOR_AT[1], abs=0.05)
    page.select_option("#method", "occlusion")
    settled(page)
    assert stand_in.asked[-1][1]["method"] == ["occlusion"]
    page.click("#hide-evidence")
    assert page.locator("#pane-a .evidence").count() == 0


@pytest.mark.slow
def test_two_ecgs_are_compared_with_the_change_of_their_scores(page: Page) -> None:
    show_example(page, "known")
    score(page, "LBBB\nnormal ECG")
    show_example(page, "other", "b")
    page.wait_for_selector("th:has-text('Change')")
    settled(page)
    change = page.locator("#score-table tbody tr").first.locator("td").last.inner_text()
    assert float(change.replace("−", "-")) == pytest.approx(-HEIGHT / 20, abs=0.002)  # the stand-in scores by height
    left, right = (page.locator(f"#pane-{slot}").bounding_box() for slot in "ab")
    assert left["y"] == right["y"] and left["x"] < right["x"]
    page.click("#close-b")
    settled(page)
    assert page.locator("#pane-b").is_hidden() and page.locator("th:has-text('Change')").count() == 0


@pytest.mark.slow
def test_nearest_reports_are_listed_and_their_ecg_shown_beside(page: Page, stand_in: StandIn) -> None:
    show_example(page, "known")
    page.fill("#youngest", "40")
    page.click("#search-form button")
    page.wait_for_selector("#hits li")
    assert stand_in.asked[-1][:2] == ("/v1/search", {"age": ["40-120"]})
    assert stand_in.asked[-1][2] == stand_in.examples["known"]
    assert "atrial fibrillation." in page.inner_text("#hits") and page.locator("#hits button").count() == 1
    page.click("#hits button")
    page.wait_for_selector("#pane-b:not([hidden])")
    page.fill("#search-text", "paced rhythm")
    page.click("#search-form button")
    settled(page)
    assert stand_in.asked[-1][1]["text"] == ["paced rhythm"] and stand_in.asked[-1][2] == b""


@pytest.mark.slow
def test_what_the_service_has_not_is_not_offered(page: Page, stand_in: StandIn) -> None:
    stand_in.ready = {"ready": True, "capabilities": {"explain": False}}
    stand_in.paths = ("classify", "explain", "ecg", "examples")
    page.reload()
    settled(page)
    show_example(page, "known")
    score(page, "LBBB")
    assert page.locator("#searching").is_hidden() and page.locator("#method-label").is_hidden()
    assert page.locator("#score-table button").count() == 0


@pytest.mark.slow
def test_a_service_that_still_loads_its_model_is_waited_for(page: Page, stand_in: StandIn) -> None:
    stand_in.ready = {"ready": False, "model": None}
    page.reload()
    page.wait_for_selector("#status:has-text('loading its model')")
    stand_in.ready = StandIn().ready
    settled(page)
    assert "stand-in" in page.inner_text("#model")


@pytest.mark.slow
def test_files_are_sent_whole_and_with_what_was_said_of_them(page: Page, stand_in: StandIn) -> None:
    page.click("#opening summary")
    page.fill("#given-rate", "360")
    content = canonical(spikes(10, 360, 2), 360, ("I", "II"))
    upload(page, "mine.dat", content)
    page.wait_for_selector("#pane-a:not([hidden])")
    assert stand_in.asked[-1] == ("/v1/ecg", {"rate": ["360"]}, content)
    assert page.inner_text("#pane-a h2") == "ECG A: mine.dat"
    assert "360 Hz" in page.inner_text("#pane-a .facts")


@pytest.mark.slow
def test_a_file_can_be_dropped(page: Page, stand_in: StandIn) -> None:
    content = list(canonical(spikes(10, 100, 2), 100, ("I", "II")))
    page.evaluate(
        """(bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], 'dropped.ecg'));
          document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        content,
    )
    page.wait_for_selector("#pane-a:not([hidden])")
    assert page.inner_text("#pane-a h2") == "ECG A: dropped.ecg"


def test_errors_say_what_and_why_and_what_to_do(page: Page, stand_in: StandIn) -> None:
    upload(page, "cat.jpg", b"\xff\xd8 no ECG")
    page.wait_for_selector("#problem:not([hidden])")
    assert (
        page.inner_text("#problem") == "The file: not an ECG format that is known. What to do: export it as WFDB, DICOM or CSV."
    )
    show_example(page, "known")
    assert page.locator("#problem").is_hidden()
    stand_in.refusal = (
        429,
        {"what": "the service", "reason": "too many requests wait", "remedy": "ask later"},
        {"Retry-After": "7"},
    )
    page.click("#ask-form button")
    page.wait_for_selector("#problem:not([hidden])")
    assert "too many requests wait" in page.inner_text("#problem") and "again in 7 s" in page.inner_text("#problem")
    stand_in.refusal = None
    stand_in.examples["cut"] = stand_in.examples["known"][:-1]
    page.reload()
    settled(page)
    page.select_option("#example", "cut")
    page.click("#example-form button")
    page.wait_for_selector("#problem:not([hidden])")
    assert "samples are missing" in page.inner_text("#problem")
    stand_in.examples.pop("cut")


@pytest.mark.slow
def test_a_service_that_is_gone_is_said_to_be(page: Page) -> None:
    page.route("**/v1/examples/*", lambda route: route.abort())
    page.click("#example-form button")
    page.wait_for_selector("#problem:not([hidden])")
    assert "does not answer" in page.inner_text("#problem")


@pytest.mark.slow
def test_a_token_is_asked_for_and_used(page: Page, stand_in: StandIn) -> None:
    stand_in.token = TOKEN
    page.click("#example-form button")
    page.fill("#token", TOKEN)
    page.click("#token-form button[type=submit]")
    page.wait_for_selector("#pane-a:not([hidden])")
    score(page)
    assert page.locator("#score-table tbody tr").count() == 4


@pytest.mark.slow
def test_everything_shown_can_be_saved_as_json(page: Page) -> None:
    show_example(page, "known")
    score(page, "LBBB")
    page.click("#calipers")
    with page.expect_download() as saved:
        page.click("#export")
    data = json.loads(saved.value.path().read_text(encoding="utf-8"))
    assert data["notice"] == NOTICE and saved.value.suggested_filename == "cmelt-ecg.json"
    assert data["answers"]["a"]["results"][0]["class"] == "LBBB"
    assert data["ecgs"][0]["calipers"]["milliseconds"] == pytest.approx(1000)
    assert data["shown"] == {"layout": "3x4+1", "mm_per_s": 25, "mm_per_mv": 10, "filter": "none"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "layout", "sheets"), [("known", "12x1", 1), ("minute", "3x4+1", 6)])
def test_printing_gives_sheets_in_true_size_and_the_scores(page: Page, name: str, layout: str, sheets: int) -> None:
    show_example(page, name)
    score(page, "LBBB")
    page.select_option("#theme", "dark")
    page.select_option("#layout", layout)
    page.click("#larger")
    pdf = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == sheets + 1
    assert re.search(rb"/MediaBox\s*\[0 0 84[12][.\d]* 59[456]", pdf)  # A4, sideways
    widths = page.locator("#print svg.ecg").evaluate_all("(all) => all.map((one) => one.getAttribute('width'))")
    assert widths == ["266mm"] * sheets
    page.emulate_media(media="print")
    assert page.locator("#print .notice").inner_text() == NOTICE
    assert page.locator("#toolbar").is_hidden()
    paper = page.locator("#print svg.ecg rect.paper").first.evaluate("(one) => getComputedStyle(one).fill")
    assert paper == "rgb(255, 255, 255)"
    heights = page.locator("#print svg.ecg").evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().height)")
    assert max(heights) <= (210 - 16) * PIXELS_A_MM


@pytest.mark.slow
def test_colours_are_chosen_and_remembered(page: Page) -> None:
    page.select_option("#theme", "dark")
    page.reload()
    settled(page)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 23, 29)"
    page.select_option("#theme", "auto")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
