// Where everything lies on the paper, in millimetres. Nothing is drawn here.

import { STANDARD } from "./ecg.js";

export const LAYOUTS = ["3x4+1", "6x2", "12x1"];
export const SPEEDS = [12.5, 25, 50]; // mm/s
export const GAINS = [5, 10, 20]; // mm/mV

/** mm: room for the calibration pulse, around everything, and for the line of text above and below. */
export const LEFT = 10;
export const MARGIN = 3;
const HEAD = 7;
const FOOT = 7;
/** mm that a row keeps at least above and below its baseline, and takes at most. */
const [LEAST_ABOVE, LEAST_BELOW, MOST] = [12, 10, 45];
/** mm: the narrowest sheet, for what is written above and below the shortest recording. */
const NARROWEST = 110;
/** Seconds on one sheet, of layouts in columns and of the one that is a single column. */
const [SHEET_SECONDS, STRIP_SECONDS] = [10, 60];
/** A lead whose middle lies further from zero is drawn about its middle, which is said beside its name; mV. */
const FAR_FROM_ZERO = 0.5;

const COLUMNS = {
  "3x4+1": [STANDARD.slice(0, 3), STANDARD.slice(3, 6), STANDARD.slice(6, 9), STANDARD.slice(9)],
  "6x2": [STANDARD.slice(0, 6), STANDARD.slice(6)],
  "12x1": [STANDARD],
};

/** Seconds of an ECG that one sheet shows. */
export function windowSeconds(ecg, layout) {
  return Math.min(ecg.seconds, layout === "12x1" ? STRIP_SECONDS : SHEET_SECONDS);
}

/**
 * The sheet of an ECG.
 * @param ecg as decoded, or with other traces in `signal` (filtered)
 * @param {{layout, speed, gain, start, seconds, height}} how `start`, `seconds`: the part shown; `height`: mm that rows may take
 *   together (paper): they move together beyond it, with the same mm/mV
 * @returns {{width, height, speed, gain, rate, start, seconds, strips, rows}} strips: {lead, row, index (-1: not recorded), from,
 *   to (s of the ECG), left, baseline, top, shift (mV taken off)}
 */
export function sheetOf(ecg, { layout, speed, gain, start = 0, seconds = windowSeconds(ecg, layout), height = Infinity }) {
  const grid = gridOf(ecg, layout);
  const placed = grid.flatMap(({ names, across }, row) =>
    names.map((lead, column) => ({
      lead,
      row,
      index: ecg.leads.indexOf(lead),
      from: start + (column * seconds) / across,
      to: start + ((column + 1) * seconds) / across,
      left: LEFT + MARGIN + ((column * seconds) / across) * speed,
    })),
  );
  const strips = placed.map((strip) => ({ ...strip, ...levels(ecg, strip, gain) }));
  const rows = rowsOf(strips, grid.length, height);
  return {
    width: Math.max(NARROWEST, LEFT + 2 * MARGIN + seconds * speed),
    height: Math.ceil((rows.at(-1).bottom + FOOT + MARGIN) / 5) * 5,
    strips: strips.map((strip) => ({ ...strip, baseline: rows[strip.row].baseline, top: rows[strip.row].top })),
    rows,
    speed,
    gain,
    start,
    seconds,
    rate: ecg.rate,
  };
}

/** Rows of lead names with how many columns each has; the rhythm strip and leads beyond the twelve take whole rows. */
function gridOf(ecg, layout) {
  const columns = COLUMNS[layout];
  const extra = ecg.leads.filter((lead) => !STANDARD.includes(lead));
  const known = ecg.leads.length > extra.length;
  const rows = known ? columns[0].map((_, row) => ({ names: columns.map((names) => names[row]), across: columns.length })) : [];
  const rhythm = ecg.leads.includes("II") ? "II" : ecg.leads[0];
  const below = layout === "3x4+1" && known ? [rhythm, ...extra.filter((lead) => lead !== rhythm)] : extra;
  return [...rows, ...below.map((lead) => ({ names: [lead], across: 1 }))];
}

/** How far a strip reaches above and below its baseline in mm, and what is taken off it in mV. */
function levels(ecg, strip, gain) {
  if (strip.index < 0) return { shift: 0, above: 0, below: 0 };
  const part = ecg.signal[strip.index].subarray(Math.floor(strip.from * ecg.rate), Math.ceil(strip.to * ecg.rate));
  const sorted = part.filter(Number.isFinite).sort();
  if (!sorted.length) return { shift: 0, above: 0, below: 0 };
  const middle = sorted[sorted.length >> 1];
  const shift = Math.abs(middle) > FAR_FROM_ZERO ? middle : 0;
  return { shift, above: (sorted.at(-1) - shift) * gain, below: (shift - sorted[0]) * gain };
}

function rowsOf(strips, count, height) {
  const needed = Array.from({ length: count }, (_, row) => {
    const inRow = strips.filter((strip) => strip.row === row);
    return {
      above: Math.min(MOST, Math.max(LEAST_ABOVE, ...inRow.map((strip) => strip.above + 5))),
      below: Math.min(MOST, Math.max(LEAST_BELOW, ...inRow.map((strip) => strip.below + 3))),
    };
  });
  const total = needed.reduce((sum, row) => sum + row.above + row.below, 0);
  const squeeze = Math.min(1, (height - HEAD - FOOT - 2 * MARGIN) / total);
  let top = MARGIN + HEAD;
  return needed.map(({ above, below }) => {
    const row = { top, baseline: top + above * squeeze, bottom: top + (above + below) * squeeze };
    top = row.bottom;
    return row;
  });
}

/** The strip under a point of the sheet, or null. */
export function stripAt(sheet, { x, y }) {
  const row = sheet.rows.findIndex((one) => y >= one.top && y < one.bottom);
  const inRow = sheet.strips.filter((strip) => strip.row === row);
  return inRow.find((strip) => x >= strip.left && x < strip.left + (strip.to - strip.from) * sheet.speed) ?? null;
}

/** Two points of the sheet (mm) → what lies between them. bpm is null where they share a time. */
export function measure(a, b, { speed, gain }) {
  const milliseconds = (Math.abs(b.x - a.x) / speed) * 1000;
  return { milliseconds, bpm: milliseconds > 0 ? 60000 / milliseconds : null, millivolts: (a.y - b.y) / gain };
}
