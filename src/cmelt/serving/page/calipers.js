// Calipers on one sheet: two points, what lies between them in ms, bpm and mV, and the interval marched out to both sides.

import { drawn } from "./dom.js";
import { LEFT, MARGIN, measure, stripAt } from "./layout.js";

/** mm: how near a press must be to take hold of a point; the closest lines that are marched out. */
const [HOLD, CLOSEST] = [3, 2];
/** mm of one arrow key, and with Shift. At 25 mm/s and 10 mm/mV: 4 ms, 0.01 mV; with Shift 40 ms, 0.1 mV. */
export const [STEP, STRIDE] = [0.1, 1];

/** State of a pair: points in mm of the sheet, which one the keys move, whether it is marched out. */
export function calipersBetween(a, b) {
  return { a, b, active: "b", march: false };
}

/** Where calipers begin that nobody drew: a second at 25 mm/s, one millivolt, in the middle of `view` {x, y, width, height}. */
export function placedIn(sheet, view) {
  const x = Math.min(Math.max(view.x + view.width / 2, LEFT + MARGIN), sheet.width - MARGIN - 25);
  const y = Math.min(view.y + view.height / 2, sheet.height - MARGIN);
  return calipersBetween({ x, y }, { x: x + 25, y: Math.max(0, y - 10) });
}

/** The point ("a", "b") of the calipers that a press at `point` takes hold of, or null. */
export function heldAt(calipers, point) {
  const distances = ["b", "a"].map((end) => [end, Math.hypot(calipers[end].x - point.x, calipers[end].y - point.y)]);
  const [end, distance] = distances.sort((one, other) => one[1] - other[1])[0];
  return distance <= HOLD ? end : null;
}

/** The calipers after a key of the paper, or null where the key is none of theirs. */
export function afterKey(calipers, key, shift, sheet) {
  const by = shift ? STRIDE : STEP;
  const way = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] }[key];
  if (way) {
    const { x, y } = calipers[calipers.active];
    return { ...calipers, [calipers.active]: inside(sheet, { x: x + way[0], y: y + way[1] }) };
  }
  if (key === "x" || key === "X") return { ...calipers, active: calipers.active === "a" ? "b" : "a" };
  if (key === "m" || key === "M") return { ...calipers, march: !calipers.march };
  return null;
}

/** The point of the sheet nearest to `point`. */
export function inside(sheet, { x, y }) {
  return { x: Math.min(Math.max(x, 0), sheet.width), y: Math.min(Math.max(y, 0), sheet.height) };
}

/** What the calipers say: numbers, and a line for people. */
export function reading(calipers, sheet) {
  const measured = measure(calipers.a, calipers.b, sheet);
  const strip = stripAt(sheet, calipers.a);
  const from = strip ? strip.from + (calipers.a.x - strip.left) / sheet.speed : null;
  const rate = measured.bpm === null ? "" : ` (${measured.bpm.toFixed(0)} bpm)`;
  const where = strip ? `, lead ${strip.lead} from ${from.toFixed(2)} s` : "";
  const text = `${measured.milliseconds.toFixed(0)} ms${rate}, ${measured.millivolts.toFixed(2)} mV${where}`;
  return { ...measured, lead: strip?.lead ?? null, from, text };
}

/** Times (x in mm) at which the interval comes again, to both sides. */
export function marched(calipers, sheet) {
  const interval = Math.abs(calipers.b.x - calipers.a.x);
  if (interval < CLOSEST) return [];
  const [first, last] = [Math.min(calipers.a.x, calipers.b.x), Math.max(calipers.a.x, calipers.b.x)];
  const found = [];
  for (let x = first - interval; x >= LEFT + MARGIN; x -= interval) found.unshift(x);
  for (let x = last + interval; x <= sheet.width - MARGIN; x += interval) found.push(x);
  return found;
}

/** The calipers as a drawing over the sheet. */
export function drawCalipers(calipers, sheet) {
  const { a, b, active } = calipers;
  const { text } = reading(calipers, sheet);
  const group = drawn("g", { class: "calipers", "aria-hidden": "true" });
  for (const { x } of [a, b]) group.append(drawn("path", { class: "leg", d: `M${x} 0V${sheet.height}` }));
  for (const { y } of [a, b]) group.append(drawn("path", { class: "level", d: `M0 ${y}H${sheet.width}` }));
  if (calipers.march) {
    for (const x of marched(calipers, sheet)) group.append(drawn("path", { class: "marched", d: `M${x} 0V${sheet.height}` }));
  }
  for (const end of ["a", "b"]) {
    group.append(
      drawn("circle", { class: end === active ? "point active" : "point", cx: calipers[end].x, cy: calipers[end].y, r: 1.2 }),
    );
  }
  const words = text.split(", lead")[0];
  const [wide, high] = [words.length * 1.95 + 3, 5];
  const x = Math.min(Math.max(Math.max(a.x, b.x) + 2, 0), Math.max(0, sheet.width - wide - 1));
  const y = Math.min(Math.max(Math.min(a.y, b.y) - high - 1.5, 0.5), sheet.height - high);
  group.append(
    drawn("rect", { class: "tag", x, y, width: wide, height: high, rx: 0.8 }),
    drawn("text", { class: "said", x: x + 1.5, y: y + 3.6 }, words),
  );
  return group;
}
