// Findings, scores and evidence: what is asked of the ECGs in view, and how the answers are shown.

import { classify, explain } from "./api.js";
import { byId, element, shown } from "./dom.js";
import { Fault, markOf, toldOf } from "./ecg.js";
import { evidenceText, explanationOf, isOn } from "./evidence.js";
import { SETS, isEmpty, questionOf, questionOfOne } from "./questions.js";
import { ORDERS, findingText, rowsOf, scoreTable } from "./scores.js";

/** What its scores are, in a sentence or two; "" for a scoring that is not known. */
function meaningOf(answer) {
  const meaning = MEANING[answer.scoring];
  return meaning ? `${meaning} More is more alike; it ranks, and zero is no threshold.` : "";
}

/** Goes to a stretch of a view; where its layout does not show it, in the one that shows all of every lead. */
function showPlace(view, place) {
  if (!isOn(view.sheet, place)) {
    byId("layout").value = "12x1";
    byId("layout").dispatchEvent(new Event("change"));
  }
  view.reveal(place);
}

const MEANING = {
  contrast: "Score: mean similarity to the finding's prompts minus that to its negative prompts.",
  pairs: "Score: mean similarity to the finding's prompts minus that to prompts that say it is absent.",
  similarity: "Score: mean similarity to the finding's prompts; compare ECGs within a finding, not findings with one another.",
};

/** The panel of findings. `answers`: {a, b} of /v1/classify; `explanations`: {a, b}; both are null where there is none. */
export class Asking {
  /**
   * @param {{a: EcgView, b: EcgView}} views
   * @param {(work: () => Promise, text: string) => Promise} busy runs work, says what is done, shows its faults
   */
  constructor(views, busy) {
    Object.assign(this, {
      views,
      busy,
      can: {},
      question: null,
      answers: { a: null, b: null },
      explanations: { a: null, b: null },
      chosen: null,
    });
    byId("set").append(...SETS.map(({ title }, place) => element("option", { value: String(place) }, title)));
    byId("order").append(...Object.entries(ORDERS).map(([value, name]) => element("option", { value }, name)));
    byId("order").addEventListener("change", () => this.draw());
    byId("method").addEventListener("change", () => this.chosen !== null && this.explain(this.chosen));
    for (const view of Object.values(views)) view.root.addEventListener("drawn", () => this.#drawEvidence());
    byId("hide-evidence").addEventListener("click", () => this.hideEvidence());
    byId("set").addEventListener("change", () => {
      byId("findings").disabled = byId("set").value !== "";
    });
    byId("ask-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask(questionOf(byId("set").value, byId("findings").value));
    });
  }

  /** What the service can do, once that is known. */
  allow(can) {
    this.can = can;
    shown(byId("asking"), can.classify);
    shown(byId("method-label"), can.explain);
    shown(byId("explain-hint"), can.explain);
  }

  /** Scores every ECG in view for `question`. */
  ask(question) {
    return this.busy(async () => {
      if (isEmpty(question)) throw new Fault("the findings", "there is none", "type one a line, or choose a set");
      this.question = question;
      this.#forget(["a", "b"]);
      for (const slot of ["a", "b"]) await this.#score(slot);
    }, "Scoring…");
  }

  /** Another ECG, or none, is in `slot`: what was said of the former one goes; the question is asked again. */
  renew(slot) {
    this.#forget([slot]);
    return this.question && this.views[slot].ecg ? this.busy(() => this.#score(slot), "Scoring…") : Promise.resolve();
  }

  async #score(slot) {
    const { ecg } = this.views[slot];
    if (!ecg) return;
    const { question } = this;
    const answer = await classify(ecg, question);
    // Meanwhile another ECG may have been opened, or something else been asked.
    if (ecg !== this.views[slot].ecg || question !== this.question) return;
    this.answers[slot] = answer;
    this.draw();
  }

  #forget(slots) {
    this.chosen = null;
    for (const slot of slots) this.answers[slot] = null;
    this.hideEvidence();
  }

  /** Shows where the evidence for one finding lies, in every ECG that was scored. */
  explain(finding) {
    this.chosen = finding;
    this.draw();
    return this.busy(async () => {
      for (const slot of ["a", "b"]) {
        const { ecg } = this.views[slot];
        if (!ecg || !this.answers[slot]) continue;
        const answer = await explain(ecg, { ...questionOfOne(this.question, finding), method: byId("method").value });
        if (ecg !== this.views[slot].ecg || this.chosen !== finding) return;
        this.explanations[slot] = explanationOf(answer, findingText(finding));
        this.views[slot].explain(this.explanations[slot]);
      }
      this.#drawEvidence();
    }, "Looking for the evidence…");
  }

  hideEvidence() {
    this.chosen = null;
    this.explanations = { a: null, b: null };
    for (const slot of ["a", "b"]) if (this.views[slot].evidence) this.views[slot].explain(null);
    this.#drawEvidence();
    this.draw();
  }

  /** Explanations in view, as [{label, finding, method, …}]. */
  explained() {
    return ["a", "b"]
      .filter((slot) => this.explanations[slot])
      .map((slot) => ({ label: this.views[slot].label, ...this.explanations[slot] }));
  }

  #drawEvidence() {
    const explained = Object.values(this.views).filter((view) => view.evidence);
    const text = (view) => evidenceText(view.label, view.evidence, view.sheet, (place) => showPlace(view, place));
    byId("evidence-text").replaceChildren(...explained.map(text));
    shown(byId("evidence"), explained.length > 0);
  }

  /** The notice of the answers, or the page's own. */
  notice() {
    return (this.answers.a ?? this.answers.b)?.notice ?? byId("notice").textContent;
  }

  /** What the scores in view are, in words; "" where there are none. */
  meaning() {
    const answer = this.answers.a ?? this.answers.b;
    return answer ? meaningOf(answer) : "";
  }

  /** What the model has to say of the ECGs themselves ("unlike the training data"), beside what their own flags say. */
  #flags() {
    return ["a", "b"].flatMap((slot) => {
      const { ecg, label } = this.views[slot];
      const known = new Set(ecg ? [...ecg.flags, ...ecg.missing.map((lead) => `missing:${lead}`)] : []);
      const own = (this.answers[slot]?.flags ?? []).filter((flag) => !known.has(flag));
      return toldOf(own.map(markOf)).map(({ text }) => `${label}: ${text}`);
    });
  }

  /** Draws the table anew. */
  draw() {
    const { a, b } = this.answers;
    shown(byId("scored"), Boolean(a || b));
    if (!a && !b) return;
    byId("score-notice").textContent = this.notice();
    byId("score-flags").replaceChildren(...this.#flags().map((text) => element("li", { className: "serious" }, text)));
    byId("score-meaning").textContent = this.meaning();
    byId("order").querySelector("[value=change]").disabled = !(a && b);
    const focused = document.activeElement?.closest?.("button.finding")?.textContent;
    const rows = rowsOf(this.answers, byId("order").value);
    const onchoose = this.can.explain ? (finding) => this.explain(finding) : null;
    byId("score-table").replaceChildren(scoreTable(rows, { both: Boolean(a && b), chosen: this.chosen, onchoose }));
    // The table is new; the focus stays with the finding it was on.
    [...byId("score-table").querySelectorAll("button.finding")].find((button) => button.textContent === focused)?.focus();
  }
}
