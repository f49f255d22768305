// Scores of one or two ECGs as a table: sorted, with probability and interval where the service gives them.

import { element } from "./dom.js";

export const ORDERS = { score: "score", change: "change from A to B", name: "name" };

/**
 * Answers of /v1/classify → rows [{finding, told, a, b, change}]; a and b are results or null, change is of the scores, told is how
 * a typed line was taken, or null.
 * @param {{a, b}} answers either may be null
 */
export function rowsOf({ a, b }, order) {
  const results = (answer) => new Map((answer?.results ?? []).map((result) => [result.class, result]));
  const [first, second] = [results(a), results(b)];
  const rows = [...new Set([...first.keys(), ...second.keys()])].map((finding) => {
    const [one, other] = [first.get(finding) ?? null, second.get(finding) ?? null];
    const told = (one ?? other).told ?? null;
    return { finding, told, a: one, b: other, change: one && other ? other.score - one.score : null };
  });
  const keys = {
    score: (one, other) => weight(other) - weight(one),
    change: (one, other) => Math.abs(other.change ?? 0) - Math.abs(one.change ?? 0),
    name: (one, other) => one.finding.localeCompare(other.finding),
  };
  return rows.sort(keys[order] ?? keys.score);
}

/** What rows are sorted by: the score, which every finding has; probabilities of some would not compare with scores of others. */
function weight({ a, b }) {
  return (a ?? b).score;
}

/** "73 % (61–82 %)", "cannot tell: …" or "not calibrated". */
export function probabilityText(result) {
  if (result.cannot_tell) return typeof result.cannot_tell === "string" ? `cannot tell: ${result.cannot_tell}` : "cannot tell";
  if (result.probability === null || result.probability === undefined) return "not calibrated";
  const percent = (value) => Math.round(100 * value);
  const hasInterval = Number.isFinite(result.low) && Number.isFinite(result.high);
  return `${percent(result.probability)} %${hasInterval ? ` (${percent(result.low)}–${percent(result.high)} %)` : ""}`;
}

/** The name of a class for people: "atrial-fibrillation" → "atrial fibrillation". */
export function findingText(finding) {
  if (!/^[a-z0-9]+(-[a-z0-9]+)+$/.test(finding)) return finding;
  return finding.replaceAll("-", " ").replace(/\b(av|ecg|pr|qrs|qt|st)\b/g, (letters) => letters.toUpperCase());
}

/**
 * The table of rows.
 * @param rows from `rowsOf`
 * @param {{both, chosen, onchoose}} how both ECGs or one; the finding explained; what a click on a finding does (null: nothing)
 */
export function scoreTable(rows, { both, chosen, onchoose }) {
  const most = Math.max(1e-9, ...rows.flatMap(({ a, b }) => [a, b].filter(Boolean).map((result) => Math.abs(result.score))));
  const letters = both ? ["a", "b"] : [rows.some(({ a }) => a) ? "a" : "b"];
  const heads = letters.flatMap((letter) =>
    both ? [`Score ${letter.toUpperCase()}`, `Probability ${letter.toUpperCase()}`] : ["Score", "Probability"],
  );
  const reasons = Object.fromEntries(letters.map((letter) => [letter, sharedReason(rows, letter)]));
  const told = letters.filter((letter) => reasons[letter]).map((letter) => `ECG ${letter.toUpperCase()}: ${reasons[letter]}.`);
  const names = ["Finding", ...heads, ...(both ? ["Change B − A"] : [])];
  return element(
    "table",
    { className: "scores" },
    told.length ? element("caption", { className: "cannot" }, `No probabilities can be told. ${told.join(" ")}`) : null,
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        names.map((name) => element("th", { scope: "col" }, name)),
      ),
    ),
    element(
      "tbody",
      {},
      rows.map((row) =>
        element(
          "tr",
          {},
          element(
            "th",
            { scope: "row" },
            named(row.finding, chosen, onchoose),
            row.told ? element("span", { className: "told soft" }, row.told) : null,
          ),
          letters.flatMap((letter) => cells(row[letter], most, reasons[letter])),
          both ? element("td", { className: "change" }, row.change === null ? "–" : signed(row.change)) : null,
        ),
      ),
    ),
  );
}

function named(finding, chosen, onchoose) {
  if (!onchoose) return findingText(finding);
  const pressed = String(finding === chosen);
  return element(
    "button",
    { type: "button", className: "finding", "aria-pressed": pressed, onclick: () => onchoose(finding) },
    findingText(finding),
  );
}

/** The reason that keeps every finding of one ECG from a probability, to be said once; null where there is no such. */
function sharedReason(rows, letter) {
  const reasons = new Set(rows.map((row) => row[letter]?.cannot_tell ?? null));
  const [only] = reasons;
  return rows.length > 1 && reasons.size === 1 && typeof only === "string" ? only : null;
}

function cells(result, most, reason) {
  if (!result) return [element("td", {}, "–"), element("td", {}, "–")];
  const bar = element("span", { className: result.score < 0 ? "bar negative" : "bar", "aria-hidden": "true" });
  bar.style.setProperty("--share", Math.abs(result.score) / most);
  const text = reason ? "cannot tell" : probabilityText(result);
  return [
    element("td", { className: "score" }, signed(result.score), bar),
    element("td", { className: text.startsWith("cannot") ? "cannot" : "" }, text),
  ];
}

function signed(value) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
}
