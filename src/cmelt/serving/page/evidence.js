// Where in the trace the evidence for a finding lies: bars behind the traces, and the same in words and numbers.

import { drawn, element } from "./dom.js";

/** Seconds that one bar sums up (a millimetre at 25 mm/s), and that the strongest place is long. */
const [BAR_SECONDS, PLACE_SECONDS] = [0.04, 0.2];
/** Bars weaker than this share of the strongest are left away. */
const FAINTEST = 0.08;

/** The service's answer → {finding, leads, rate, values, score, baseline, method, notes}. */
export function explanationOf(answer, finding) {
  const { leads, values, method, score = null, baseline = null, notes = [] } = answer;
  const samples = values[0]?.length ?? 0;
  const seconds = Array.isArray(answer.seconds) ? spanOf(answer.seconds) : answer.seconds;
  const rate = answer.rate ?? samples / seconds;
  return { finding, leads, rate, values, score, baseline, method, notes: [notes].flat().filter(Boolean) };
}

/** Seconds from the first of many times to one step beyond the last. */
function spanOf(times) {
  return times.length > 1 ? ((times.at(-1) - times[0]) * times.length) / (times.length - 1) : 1;
}

/** Sums over bars: [leads][bars], and the strongest by absolute value. */
function barsOf({ values, rate }) {
  const size = Math.max(1, Math.round(BAR_SECONDS * rate));
  const bars = values.map((trace) => {
    const sums = [];
    for (let start = 0; start < trace.length; start += size) sums.push(sum(trace, start, start + size));
    return sums;
  });
  return {
    size,
    bars,
    strongest: Math.max(...bars.map((sums) => sums.reduce((most, value) => Math.max(most, Math.abs(value)), 0))),
  };
}

function sum(trace, start, stop) {
  let total = 0;
  for (let at = start; at < Math.min(stop, trace.length); at += 1) total += trace[at] ?? 0;
  return total;
}

/** Bars as a drawing: what speaks for the finding stands above the baseline, what speaks against it hangs below. */
export function drawEvidence(sheet, explanation) {
  const { size, bars, strongest } = barsOf(explanation);
  const group = drawn("g", { class: "evidence" });
  if (!(strongest > 0)) return group;
  for (const strip of sheet.strips) {
    const sums = bars[explanation.leads.indexOf(strip.lead)];
    const row = sheet.rows[strip.row];
    for (const [at, value] of (sums ?? []).entries()) {
      const [from, to] = [
        Math.max(strip.from, (at * size) / explanation.rate),
        Math.min(strip.to, ((at + 1) * size) / explanation.rate),
      ];
      const strength = Math.abs(value) / strongest;
      if (to <= from || strength < FAINTEST) continue;
      const room = value > 0 ? row.baseline - row.top : row.bottom - row.baseline;
      const long = strength * room;
      group.append(
        drawn("rect", {
          class: value > 0 ? "for" : "against",
          x: (strip.left + (from - strip.from) * sheet.speed).toFixed(2),
          width: ((to - from) * sheet.speed).toFixed(2),
          y: (value > 0 ? row.baseline - long : row.baseline).toFixed(2),
          height: long.toFixed(2),
          "fill-opacity": (0.25 + 0.65 * strength).toFixed(2),
        }),
      );
    }
  }
  return group;
}

/** [{lead, forIt, against, share}], the lead with the most evidence first; share of all evidence, for and against. */
export function sharesOf({ leads, values }) {
  const rows = leads.map((lead, row) => {
    const forIt = values[row].reduce((total, value) => total + Math.max(0, value ?? 0), 0);
    const against = values[row].reduce((total, value) => total + Math.max(0, -(value ?? 0)), 0);
    return { lead, forIt, against };
  });
  const all = rows.reduce((total, { forIt, against }) => total + forIt + against, 0) || 1;
  return rows.map((row) => ({ ...row, share: (row.forIt + row.against) / all })).sort((a, b) => b.share - a.share);
}

/** The fifth of a second with the most evidence for the finding: {lead, from, to} in seconds; null where there is none. */
export function strongestPlace({ leads, values, rate }) {
  const size = Math.max(1, Math.round(PLACE_SECONDS * rate));
  let best = { total: 0, row: -1, start: 0 };
  values.forEach((trace, row) => {
    let total = sum(trace, 0, size);
    for (let start = 0; start + size <= Math.max(trace.length, size); start += 1) {
      if (start) total += (trace[start + size - 1] ?? 0) - (trace[start - 1] ?? 0);
      if (total > best.total) best = { total, row, start };
    }
  });
  return best.row < 0 ? null : { lead: leads[best.row], from: best.start / rate, to: (best.start + size) / rate };
}

/** Whether a sheet draws this part of this lead: columns show a lead for some of the time only. */
export function isOn(sheet, { lead, from, to }) {
  return sheet.strips.some((strip) => strip.lead === lead && strip.from < to && strip.to > from);
}

/** Words and a table for one explanation of the ECG called `label`, of which `sheet` is in view; `onshow(place)` goes there. */
export function evidenceText(label, explanation, sheet, onshow) {
  const place = strongestPlace(explanation);
  const where = place
    ? `Most speaks for it in ${place.lead}, ${place.from.toFixed(2)}–${place.to.toFixed(2)} s.`
    : "Nothing in the trace speaks for it.";
  const unseen = place && !isOn(sheet, place) ? " This sheet does not show it." : "";
  const percent = (value) => `${(100 * value).toFixed(0)} %`;
  const total = sharesOf(explanation);
  const all = total.reduce((sum, { forIt, against }) => sum + forIt + against, 0) || 1;
  const rows = total.map(({ lead, forIt, against, share }) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, lead),
      ...[forIt / all, against / all, share].map((value) => element("td", {}, percent(value))),
    ),
  );
  return element(
    "div",
    { className: "explained" },
    element(
      "p",
      {},
      element("strong", {}, `${label}: ${explanation.finding}. `),
      where,
      unseen,
      ` Method: ${explanation.method.replaceAll("-", " ")}.`,
    ),
    place && element("button", { type: "button", className: "place", onclick: () => onshow(place) }, "Show it in the trace"),
    ...explanation.notes.map((note) => element("p", { className: "soft" }, note)),
    element(
      "details",
      {},
      element("summary", {}, "Evidence by lead"),
      element(
        "table",
        {},
        element("caption", {}, `Share of all evidence, ${label}`),
        element(
          "thead",
          {},
          element("tr", {}, ...["Lead", "for", "against", "together"].map((name) => element("th", { scope: "col" }, name))),
        ),
        element("tbody", {}, rows),
      ),
    ),
  );
}
