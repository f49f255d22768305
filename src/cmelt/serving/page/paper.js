// A sheet drawn as SVG: paper, calibration pulse, traces, names. One unit of the drawing is one millimetre.

import { drawn } from "./dom.js";
import { labelOf, tidy } from "./ecg.js";
import { LEFT, MARGIN } from "./layout.js";

/** Points drawn a millimetre at most; beyond it the extremes of short stretches are kept, so that no spike is lost. */
const DENSITY = 10;
/** mm: how wide a letter of the headline is, on the wide side; from line to line. */
const [LETTER, LINE] = [2.1, 3.8];

/**
 * @param sheet from `sheetOf`
 * @param ecg the one the sheet was made of
 * @param {{title, subtitle, foot, marks, behind}} words what is written above, and below in parts that stay whole, `marksOf` the ECG, and a drawing to lie
 *   behind the traces (evidence) or null
 * @returns {SVGSVGElement}
 */
export function drawPaper(sheet, ecg, { title, subtitle = "", foot, marks, behind = null }) {
  const { width, height } = sheet;
  const paper = drawn("svg", { viewBox: `0 0 ${round(width)} ${height}`, role: "img", class: "ecg", "aria-label": title });
  paper.append(
    drawn("rect", { class: "paper", width: round(width), height }),
    drawn("path", { class: "minor", d: lines(width, height, 1) }),
    drawn("path", { class: "major", d: lines(width, height, 5) }),
    drawn("text", { class: "headline", x: MARGIN + LEFT, y: MARGIN + 3 }, cut(title, lettersOn(sheet))),
    drawn("text", { class: "footline" }, footLines(foot, lettersOn(sheet), height)),
  );
  if (subtitle) paper.append(drawn("text", { class: "subline", x: MARGIN + LEFT, y: MARGIN + 6.4 }, subtitle));
  if (behind) paper.append(behind);
  for (const row of sheet.rows) paper.append(pulse(row.baseline, sheet));
  for (const strip of sheet.strips) paper.append(...drawStrip(strip, sheet, ecg, marks));
  return paper;
}

/** Letters that a line of the sheet has room for. */
function lettersOn({ width }) {
  return Math.floor((width - LEFT - 2 * MARGIN) / LETTER);
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** Parts of the line below, over as many lines as they need. */
function footLines(parts, most, height) {
  const lines = [];
  for (const part of parts) {
    const longer = `${lines.at(-1)}   ${part}`;
    if (lines.length && longer.length <= most) lines[lines.length - 1] = longer;
    else lines.push(part);
  }
  return lines.map((line, at) => drawn("tspan", { x: MARGIN + LEFT, y: round(height - MARGIN - LINE * (lines.length - 1 - at)) }, line));
}

function drawStrip(strip, sheet, ecg, marks) {
  const length = (strip.to - strip.from) * sheet.speed;
  const fault = labelOf(strip.lead, marks);
  const serious = marks.some((mark) => mark.serious && mark.leads.includes(strip.lead));
  const parts = [];
  if (serious) {
    parts.push(
      drawn("rect", {
        class: "faulty",
        x: round(strip.left),
        y: round(strip.top),
        width: round(length),
        height: round(heightOf(strip, sheet)),
      }),
    );
  }
  parts.push(drawn("path", { class: "start", d: `M${round(strip.left)} ${round(strip.baseline - 3)}v6` }));
  if (strip.index >= 0) parts.push(drawn("path", { class: "trace", "data-lead": strip.lead, d: tracePath(strip, sheet, ecg) }));
  const moved = strip.shift ? `drawn about ${tidy(strip.shift.toFixed(2))} mV` : "";
  const words = [fault, moved].filter(Boolean).join(", ");
  const name = drawn("text", { class: "lead", x: round(strip.left + 1), y: round(strip.top + 4) }, strip.lead);
  if (words) name.append(drawn("tspan", { class: serious ? "fault" : "note", dx: 1.5 }, words));
  return [...parts, name];
}

function heightOf(strip, sheet) {
  return sheet.rows[strip.row].bottom - strip.top;
}

/** The path of one strip; a gap in the measurement is a gap in the line. */
export function tracePath(strip, sheet, ecg) {
  const trace = ecg.signal[strip.index];
  const first = Math.max(0, Math.ceil(strip.from * ecg.rate - 1e-6));
  const stop = Math.min(trace.length, Math.ceil(strip.to * ecg.rate - 1e-6));
  let path = "";
  let down = false;
  for (const at of kept(trace, first, stop, ecg.rate / sheet.speed)) {
    const value = trace[at];
    if (!Number.isFinite(value)) {
      down = false;
      continue;
    }
    const x = strip.left + (at / ecg.rate - strip.from) * sheet.speed;
    path += `${down ? "L" : "M"}${round(x)} ${round(strip.baseline - (value - strip.shift) * sheet.gain)}`;
    down = true;
  }
  return path;
}

/** Places of the samples that are drawn: all, or lowest, highest and unmeasured ones of each short stretch. */
function* kept(trace, first, stop, samplesPerMillimetre) {
  const stretch = Math.ceil((2 * samplesPerMillimetre) / DENSITY);
  for (let start = first; start < stop; start += stretch) {
    const end = Math.min(start + stretch, stop);
    if (stretch <= 2) {
      for (let at = start; at < end; at += 1) yield at;
      continue;
    }
    const places = new Set();
    let [low, high, gap] = [-1, -1, -1];
    for (let at = start; at < end; at += 1) {
      if (!Number.isFinite(trace[at])) gap = at;
      else {
        if (low < 0 || trace[at] < trace[low]) low = at;
        if (high < 0 || trace[at] > trace[high]) high = at;
      }
    }
    for (const at of [low, high, gap]) if (at >= 0) places.add(at);
    yield* [...places].sort((a, b) => a - b);
  }
}

/** One millivolt for a fifth of a second. */
function pulse(baseline, { speed, gain }) {
  const flat = (LEFT - 1 - 0.2 * speed) / 2;
  const [before, top] = [Math.max(0, Math.min(1.5, flat)), round(0.2 * speed)];
  return drawn("path", {
    class: "pulse",
    d: `M${MARGIN} ${round(baseline)}h${round(before)}v${-gain}h${top}v${gain}h${round(before)}`,
  });
}

function lines(width, height, step) {
  let path = "";
  for (let x = 0; x < width; x += step) path += `M${x} 0v${height}`;
  for (let y = 0; y <= height; y += step) path += `M0 ${y}h${round(width)}`;
  return path;
}

function round(value) {
  return Number(value.toFixed(2));
}
