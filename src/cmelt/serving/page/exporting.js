// What leaves the page: JSON of everything that is shown, and sheets for the printer (or its PDF) in true size.

import { byId, element } from "./dom.js";
import { marksOf, tidy, toldOf } from "./ecg.js";
import { drawEvidence } from "./evidence.js";
import { filtered } from "./filter.js";
import { sheetOf } from "./layout.js";
import { drawPaper } from "./paper.js";
import { rowsOf, scoreTable } from "./scores.js";

/** mm: what an A4 sheet held sideways has for traces, and for the height of all rows. */
const [PRINT_WIDTH, PRINT_HEIGHT] = [250, 176];
/** Sheets of one ECG at most; what is left out is said. */
const MOST_SHEETS = 12;

/** Everything shown as plain data. Signals are left out: the file that was opened has them. */
export function asData({ notice, views, answers, question, explanations, settings, now }) {
  return {
    notice,
    exported: now.toISOString(),
    shown: { layout: settings.layout, mm_per_s: settings.speed, mm_per_mv: settings.gain, filter: settings.filter },
    ecgs: views
      .filter((view) => view.ecg)
      .map((view) => {
        const { leads, rate, samples, missing, flags, facts } = view.ecg;
        const measured = view.measured();
        const calipers = measured && {
          milliseconds: measured.milliseconds,
          bpm: measured.bpm,
          millivolts: measured.millivolts,
          lead: measured.lead,
          from_s: measured.from,
        };
        return { label: view.label, name: view.name, leads, rate, samples, missing, flags, facts, calipers };
      }),
    question,
    answers,
    explanations,
  };
}

/** Hands `data` to the reader as a file. */
export function download(data, name) {
  const address = URL.createObjectURL(new Blob([JSON.stringify(data, null, 2)], { type: "application/json" }));
  element("a", { href: address, download: name }).click();
  window.setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Lays the sheets of all ECGs and the scores into the part of the page that is only printed. */
export function layOutPrint({ notice, views, answers, meaning, order, explanations, settings, now }) {
  const sheets = views.filter((view) => view.ecg).flatMap((view) => printedSheets(view, settings));
  if (answers.a || answers.b) sheets.push(printedScores({ notice, views, answers, meaning, order, explanations, now }));
  byId("print").replaceChildren(...sheets);
}

function printedSheets(view, { layout, speed, gain, filter }) {
  const { ecg } = view;
  const each = PRINT_WIDTH / speed;
  const count = Math.min(MOST_SHEETS, Math.ceil(ecg.seconds / each - 1e-6));
  const source = filtered(ecg, filter);
  return Array.from({ length: count }, (_, at) => {
    const [start, stop] = [at * each, Math.min(ecg.seconds, (at + 1) * each)];
    const sheet = sheetOf(source, { layout, speed, gain, start, seconds: stop - start, height: PRINT_HEIGHT });
    const left = at === count - 1 && stop < ecg.seconds - 1e-6 ? ` (${tidy(ecg.seconds - stop)} s more are not printed)` : "";
    const marks = marksOf(ecg);
    const behind = view.evidence && drawEvidence(sheet, view.evidence);
    const title = `${view.label}: ${view.name}, ${tidy(start)}–${tidy(stop)} s of ${tidy(ecg.seconds)} s${left}`;
    const paper = drawPaper(sheet, source, {
      title,
      subtitle: toldOf(marks)
        .map(({ text }) => text)
        .join("; ")
        .slice(0, 160),
      marks,
      foot: view.foot(),
      behind,
    });
    paper.setAttribute("width", `${sheet.width}mm`);
    paper.setAttribute("height", `${sheet.height}mm`);
    return element("section", { className: "sheet" }, paper);
  });
}

function printedScores({ notice, views, answers, meaning, order, explanations, now }) {
  const rows = rowsOf(answers, order);
  const { model = {} } = answers.a ?? answers.b;
  const about = views.filter((view) => view.ecg).map((view) => `${view.label}: ${view.name}.`);
  const weights = model.sha256 ? `, weights ${model.sha256.slice(0, 12)}` : "";
  const both = Boolean(answers.a && answers.b);
  return element(
    "section",
    { className: "sheet" },
    element("h2", {}, "Scores"),
    element("p", { className: "notice" }, notice),
    element("p", {}, `${about.join(" ")} Model: ${model.name ?? "unnamed"}${weights}. Printed ${now.toISOString().slice(0, 10)}.`),
    scoreTable(rows, { both, chosen: null, onchoose: null }),
    element("p", { className: "soft" }, meaning),
    ...explanations.map(({ label, finding, method }) =>
      element("p", {}, `${label}: evidence for ${finding} by ${method} was looked at.`),
    ),
  );
}
