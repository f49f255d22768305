// One ECG in view: what is known of it, what is wrong with it, its paper in a scroller, the part of time shown, its calipers.

import { afterKey, calipersBetween, drawCalipers, heldAt, inside, placedIn, reading } from "./calipers.js";
import { element, shown } from "./dom.js";
import { factLines, marksOf, tidy, toldOf } from "./ecg.js";
import { drawEvidence } from "./evidence.js";
import { filterText, filtered } from "./filter.js";
import { sheetOf, windowSeconds } from "./layout.js";
import { drawPaper } from "./paper.js";
import { scaleText, screenFactor } from "./screen.js";

const PIXELS_A_MM = 96 / 25.4;
export const [SMALLEST, LARGEST] = [0.2, 6];
/** Pixels of the scroller's two borders, and of a scroll bar. */
const [BORDER, SCROLL_BAR] = [2, 16];

/** What the paper is drawn with; one object for all views. */
export function plainSettings() {
  return { layout: "3x4+1", speed: 25, gain: 10, filter: "none", zoom: 1, zoomChosen: false, calipers: false };
}

export class EcgView {
  /**
   * @param {HTMLElement} root emptied and filled
   * @param {string} label "ECG A"
   * @param settings shared by all views, see `plainSettings`
   * @param {{onzoom: (factor) => void, oncommand: (name) => void}} on wishes that concern all views
   */
  constructor(root, label, settings, on) {
    Object.assign(this, { root, label, settings, on, ecg: null, name: "", start: 0, calipers: null, evidence: null });
    this.#build();
  }

  #build() {
    this.title = element("h2", { tabIndex: -1 });
    this.facts = element("dl", { className: "facts" });
    this.marks = element("ul", { className: "marks", "aria-label": `What is wrong with ${this.label}` });
    this.report = element("details", { className: "report" });
    this.slider = element("input", { type: "range", min: 0, step: 0.5, oninput: () => this.moveTo(Number(this.slider.value)) });
    this.span = element("output");
    this.time = element(
      "div",
      { className: "time" },
      element("button", { type: "button", onclick: () => this.moveBy(-1) }, "Earlier"),
      element("label", {}, "From second ", this.slider),
      this.span,
      element("button", { type: "button", onclick: () => this.moveBy(1) }, "Later"),
    );
    this.scroller = element("div", {
      className: "scroller",
      tabIndex: 0,
      role: "region",
      "aria-label": `${this.label} on paper`,
      "aria-describedby": "paper-keys",
      onkeydown: (event) => this.#key(event),
      onpointerdown: (event) => this.#press(event),
      onpointermove: (event) => this.#move(event),
      onpointerup: () => this.#release(),
      onpointercancel: () => this.#release(),
      onwheel: (event) => this.#wheel(event),
    });
    this.said = element("p", { className: "reading", role: "status" });
    this.root.replaceChildren(this.title, this.facts, this.report, this.marks, this.time, this.scroller, this.said);
  }

  /** Puts an ECG on the paper, or takes it off (null). */
  show(ecg, name = "") {
    Object.assign(this, { ecg, name, start: 0, calipers: null, evidence: null, scale: null });
    shown(this.root, ecg !== null);
    if (ecg === null) return;
    this.title.textContent = `${this.label}: ${name}`;
    this.facts.replaceChildren(
      ...factLines(ecg).map(([key, value]) => element("div", {}, element("dt", {}, key), element("dd", {}, value))),
    );
    const { report } = ecg.facts;
    this.report.replaceChildren(element("summary", {}, "Report in the file"), element("blockquote", {}, String(report ?? "")));
    shown(this.report, Boolean(report));
    this.marked = marksOf(ecg);
    this.marks.replaceChildren(
      ...toldOf(this.marked).map(({ serious, text }) => element("li", { className: serious ? "serious" : "" }, text)),
    );
    shown(this.marks, this.marked.length > 0);
    this.draw();
  }

  /** Draws anew what is shown; call it when the settings have changed. */
  draw() {
    if (!this.ecg) return;
    const { layout, speed, gain, filter, calipers } = this.settings;
    const seconds = windowSeconds(this.ecg, layout);
    this.start = Math.min(this.start, this.ecg.seconds - seconds);
    const scale = [layout, speed, gain, filter, this.start].join();
    const { scrollLeft, scrollTop } = this.scroller;
    const drawnEcg = this.#filtered(filter);
    this.sheet = sheetOf(drawnEcg, { layout, speed, gain, start: this.start, seconds });
    // Calipers hold millimetres: on another scale, layout or part of time they would measure something else.
    if (scale !== this.scale || !calipers) this.calipers = null;
    this.scale = scale;
    this.paper = drawPaper(this.sheet, drawnEcg, {
      title: `${this.label}: ${this.name}`,
      marks: this.marked,
      foot: this.foot(),
      behind: this.evidence && drawEvidence(this.sheet, this.evidence),
    });
    this.paper.classList.toggle("measuring", calipers);
    this.scroller.replaceChildren(this.paper);
    this.resize();
    this.scroller.scrollTo(scrollLeft, scrollTop);
    this.#drawCalipers();
    shown(this.time, this.ecg.seconds > seconds + 1e-6);
    this.slider.max = this.ecg.seconds - seconds;
    this.slider.value = this.start;
    this.span.value = `${tidy(this.start)}–${tidy(this.start + seconds)} of ${tidy(this.ecg.seconds)} s`;
    this.root.dispatchEvent(new Event("drawn"));
  }

  /** The ECG through a filter; a day's recording is filtered once, not with every step in time. */
  #filtered(name) {
    if (this.passed?.of !== this.ecg || this.passed.name !== name)
      this.passed = { of: this.ecg, name, ecg: filtered(this.ecg, name) };
    return this.passed.ecg;
  }

  /** What stands below the traces: speed, gain, filter, rate, in parts. */
  foot() {
    const { speed, gain, filter } = this.settings;
    const { rate } = this.ecg;
    const words = [`${speed} mm/s`, `${gain} mm/mV`, filterText(filter, rate), `${tidy(rate)} Hz`];
    return [...words, "research use only, not a medical device"];
  }

  /** Gives the paper its size on the screen, keeping what is in the middle there. */
  resize() {
    if (!this.ecg) return;
    const { scroller } = this;
    const middle = [
      (scroller.scrollLeft + scroller.clientWidth / 2) / scroller.scrollWidth,
      (scroller.scrollTop + scroller.clientHeight / 2) / scroller.scrollHeight,
    ];
    const before = this.paper.getAttribute("width");
    const factor = this.settings.zoom * screenFactor();
    this.paper.setAttribute("width", `${(this.sheet.width * factor).toFixed(3)}mm`);
    this.paper.setAttribute("height", `${(this.sheet.height * factor).toFixed(3)}mm`);
    if (before) {
      scroller.scrollLeft = middle[0] * scroller.scrollWidth - scroller.clientWidth / 2;
      scroller.scrollTop = middle[1] * scroller.scrollHeight - scroller.clientHeight / 2;
    }
    this.scroller.title = scaleText(this.settings.zoom);
  }

  /** The zoom at which the whole width is in view. */
  fitting() {
    if (!this.ecg) return 1;
    const fitted = (width) => (width - BORDER) / (this.sheet.width * screenFactor() * PIXELS_A_MM);
    const zoom = fitted(this.root.clientWidth);
    const height = this.sheet.height * zoom * screenFactor() * PIXELS_A_MM;
    const most = parseFloat(window.getComputedStyle(this.scroller).maxHeight) - BORDER;
    const bar = this.scroller.offsetWidth - this.scroller.clientWidth - BORDER;
    // Where the paper is too high for its place, a scroll bar takes some of the width.
    return height > most ? fitted(this.root.clientWidth - Math.max(bar, SCROLL_BAR)) : zoom;
  }

  moveTo(seconds) {
    this.start = Math.max(0, seconds);
    this.draw();
  }

  /** Moves the part of time that is shown, by `sheets` of its length. */
  moveBy(sheets) {
    this.moveTo(this.start + sheets * windowSeconds(this.ecg, this.settings.layout));
  }

  /** Brings a stretch {lead, from, to} of what the layout shows into the middle of the view. */
  reveal({ lead, from, to }) {
    const seconds = windowSeconds(this.ecg, this.settings.layout);
    if (from < this.start || to > this.start + seconds) this.moveTo((from + to - seconds) / 2);
    const strip = this.sheet.strips.find((one) => one.lead === lead && one.from < to && one.to > from);
    if (!strip) return;
    const { scroller } = this;
    const pixels = this.paper.getBoundingClientRect().width / this.sheet.width;
    const x = strip.left + ((from + to) / 2 - strip.from) * this.sheet.speed;
    scroller.scrollTo(x * pixels - scroller.clientWidth / 2, strip.baseline * pixels - scroller.clientHeight / 2);
    scroller.scrollIntoView({ block: "nearest" });
    scroller.focus({ preventScroll: true });
  }

  /** Lays an explanation behind the traces, or takes it away (null). */
  explain(explanation) {
    this.evidence = explanation;
    this.draw();
  }

  /** What the calipers say, or null where there are none. */
  measured() {
    return this.calipers && reading(this.calipers, this.sheet);
  }

  /** Changes the calipers (null: takes them away), draws and says them. */
  measure(calipers) {
    this.calipers = calipers;
    this.#drawCalipers();
  }

  #drawCalipers() {
    this.paper.querySelector(".calipers")?.remove();
    if (this.calipers) this.paper.append(drawCalipers(this.calipers, this.sheet));
    this.said.textContent = this.calipers ? `Calipers: ${reading(this.calipers, this.sheet).text}` : "";
  }

  #point(event) {
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.paper.getScreenCTM().inverse());
    return inside(this.sheet, { x, y });
  }

  #press(event) {
    if (!this.ecg || event.button !== 0) return;
    if (this.settings.calipers) {
      const point = this.#point(event);
      const held = this.calipers && heldAt(this.calipers, point);
      const fresh = { ...calipersBetween(point, point), march: this.calipers?.march ?? false };
      this.measure(held ? { ...this.calipers, active: held } : fresh);
      this.drag = { end: held ?? "b" };
    } else if (event.pointerType === "mouse") {
      this.drag = { x: event.clientX + this.scroller.scrollLeft, y: event.clientY + this.scroller.scrollTop };
    }
    if (this.drag) {
      this.scroller.setPointerCapture(event.pointerId);
      this.scroller.classList.add("dragging");
    }
  }

  #move(event) {
    if (!this.drag) return;
    if (this.drag.end && this.calipers) this.measure({ ...this.calipers, [this.drag.end]: this.#point(event) });
    else if (!this.drag.end) this.scroller.scrollTo(this.drag.x - event.clientX, this.drag.y - event.clientY);
  }

  #release() {
    this.drag = null;
    this.scroller.classList.remove("dragging");
  }

  #wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.on.onzoom(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  }

  #key(event) {
    if (!this.ecg || event.ctrlKey || event.metaKey || event.altKey) return;
    const { key } = event;
    const command = { "+": "larger", "=": "larger", "-": "smaller", 0: "true-size", f: "fit", c: "calipers" }[key];
    const moved = this.calipers && afterKey(this.calipers, key, event.shiftKey, this.sheet);
    if (moved) this.measure(moved);
    else if (command) this.on.oncommand(command, this);
    else if (key === "Escape" && this.settings.calipers) this.on.oncommand("calipers", this);
    else if (key === "PageDown") this.moveBy(1);
    else if (key === "PageUp") this.moveBy(-1);
    else return; // arrows without calipers scroll, Tab goes on
    event.preventDefault();
  }

  /** Calipers in the middle of what is in view, for the keyboard. */
  placeCalipers() {
    const size = this.sheet.width / this.paper.getBoundingClientRect().width;
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = this.scroller;
    this.measure(
      placedIn(this.sheet, { x: scrollLeft * size, y: scrollTop * size, width: clientWidth * size, height: clientHeight * size }),
    );
  }
}
