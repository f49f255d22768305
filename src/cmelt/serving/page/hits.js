// Nearest reports of the service's index, with their ECG beside where the service offers it.

import { element } from "./dom.js";

/** Filters of the search form → fields of a request. Ages of one end alone go from 0 or to 120. */
export function filtersOf({ youngest, oldest, sex, label }) {
  const age = youngest || oldest ? `${youngest || 0}-${oldest || 120}` : "";
  return { age, sex, label };
}

/** An answer of /v1/search, with the notice that belongs to every score; `notice` where the answer has none. */
export function hitsShown({ hits = [], among = null, notice: told }, notice, onopen) {
  const much = among === null || !hits.length ? "" : `The ${hits.length} nearest of ${among}; similarity is 1 at most, and ranks. `;
  return [element("p", { className: "notice" }, told ?? notice), element("p", { className: "soft" }, much), hitList(hits, onopen)];
}

/** A list of hits; `onopen(hit)` shows its ECG where it has one (`ecg`: an address). */
export function hitList(hits, onopen) {
  if (!hits.length) return element("p", {}, "Nothing in the index fits.");
  return element(
    "ol",
    { className: "hits" },
    hits.map((hit) => {
      const about = [hit.age && `${Math.round(hit.age)} years`, hit.sex, ...[hit.labels ?? []].flat()].filter(Boolean).join(", ");
      return element(
        "li",
        {},
        element(
          "p",
          {},
          element("strong", {}, String(hit.record)),
          ` similarity ${Number(hit.similarity).toFixed(3)}`,
          about ? `, ${about}` : "",
        ),
        element("blockquote", {}, hit.report || "No report."),
        hit.ecg ? element("button", { type: "button", onclick: () => onopen(hit) }, `Show ${hit.record} as ECG B`) : null,
      );
    }),
  );
}
