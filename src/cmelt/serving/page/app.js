// The page put together: two views, a toolbar, the panel of findings, the search. Begin reading here.

import { capabilities, readLinked, search, setTokenDialog } from "./api.js";
import { Asking } from "./asking.js";
import { byId, shown } from "./dom.js";
import { Fault } from "./ecg.js";
import { asData, download, layOutPrint } from "./exporting.js";
import { filtersOf, hitsShown } from "./hits.js";
import { offerExamples, setUpOpening } from "./opening.js";
import { setUpTheme, setUpToolbar, showToolbar, tokenDialog } from "./toolbar.js";
import { EcgView, plainSettings } from "./view.js";

/** Screens on which an ECG that was just opened would lie below the fold. */
const SMALL = "(max-height: 32rem), (max-width: 48rem)";

const settings = plainSettings();
const wishes = { onzoom: (factor) => toolbar.zoomBy(factor), oncommand: (name, view) => toolbar.command(name, view) };
const views = {
  a: new EcgView(byId("pane-a"), "ECG A", settings, wishes),
  b: new EcgView(byId("pane-b"), "ECG B", settings, wishes),
};
const toolbar = setUpToolbar(settings, [views.a, views.b]);
const asking = new Asking(views, busy);

/** Runs `work`, saying `text` meanwhile; what goes wrong is shown, with what can be done about it. */
let running = 0;
async function busy(work, text) {
  running += 1;
  byId("status").textContent = text;
  document.body.setAttribute("aria-busy", "true");
  shown(byId("problem"), false);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Fault)) console.error(error);
    const { what, reason, remedy } =
      error instanceof Fault ? error : { what: "the page", reason: error.message, remedy: "reload it" };
    byId("problem").textContent =
      `${what[0].toUpperCase()}${what.slice(1)}: ${reason}. ${remedy ? `What to do: ${remedy}.` : ""}`;
    shown(byId("problem"), true);
  } finally {
    running -= 1;
    if (!running) {
      byId("status").textContent = "";
      document.body.removeAttribute("aria-busy");
    }
  }
}

/** Latest opening of each slot: an ECG that arrives after a later one was asked for is not shown. */
const latest = { a: 0, b: 0 };

function open(slot, name, reading) {
  latest[slot] += 1;
  const mine = latest[slot];
  return busy(async () => {
    const ecg = await reading();
    if (mine !== latest[slot]) return;
    // A second ECG without a first has nothing to be compared with.
    const into = slot === "b" && !views.a.ecg ? "a" : slot;
    views[into].show(ecg, name);
    arrange();
    views[into].title.focus({ preventScroll: true });
    if (window.matchMedia(SMALL).matches) views[into].root.scrollIntoView();
    asking.renew(into);
  }, `Reading ${name}…`);
}

function arrange() {
  const two = Boolean(views.a.ecg && views.b.ecg);
  byId("ecgs").classList.toggle("two", two);
  byId("work").classList.toggle("beside", !two);
  shown(byId("close-b"), Boolean(views.b.ecg));
  shown(byId("answers"), Boolean(views.a.ecg));
  showToolbar(Boolean(views.a.ecg));
  toolbar.suit();
}

function shownData() {
  const shownViews = [views.a, views.b];
  return {
    notice: asking.notice(),
    views: shownViews,
    answers: asking.answers,
    meaning: asking.meaning(),
    question: asking.question,
    explanations: asking.explained(),
    settings,
    order: byId("order").value,
    now: new Date(),
  };
}

function setUpSearch() {
  byId("search-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = byId("search-text").value.trim();
    const field = (id) => byId(id).value.trim();
    const filters = filtersOf({ youngest: field("youngest"), oldest: field("oldest"), sex: field("sex"), label: field("label") });
    busy(async () => {
      const answer = await search(text ? null : views.a.ecg, { text, ...filters });
      const onopen = (hit) => open("b", String(hit.record), () => readLinked(hit.ecg));
      byId("hits").replaceChildren(...hitsShown(answer, byId("notice").textContent, onopen));
    }, "Searching…");
  });
}

function setUpExport() {
  byId("export").addEventListener("click", () => download(asData(shownData()), "cmelt-ecg.json"));
  byId("print-button").addEventListener("click", () => window.print());
  window.addEventListener("beforeprint", () => layOutPrint(shownData()));
}

const [ASK_AGAIN_MS, TRIES] = [2000, 150];

/** Shows what the service has; while it still loads its model, asks again. */
async function offerWhatThereIs() {
  let examples = false;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const can = await capabilities();
    asking.allow(can);
    shown(byId("searching"), can.search);
    if (can.model) byId("model").textContent = `Model: ${can.model}.`;
    if (can.examples && !examples) await offerExamples();
    examples = can.examples;
    if (can.ready) return;
    byId("status").textContent = "The service is loading its model…";
    await new Promise((done) => window.setTimeout(done, ASK_AGAIN_MS));
  }
}

setTokenDialog(tokenDialog());
setUpTheme();
setUpOpening(open);
setUpSearch();
setUpExport();
window.addEventListener("resize", toolbar.suit);
byId("close-b").addEventListener("click", () => {
  latest.b += 1;
  views.b.show(null);
  document.querySelector('input[name="slot"][value="a"]').checked = true;
  arrange();
  asking.renew("b");
  byId("choose").focus();
});
views.a.show(null);
views.b.show(null);
busy(offerWhatThereIs, "Asking the service what it can do…");
