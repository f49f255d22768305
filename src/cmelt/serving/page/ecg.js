// One ECG as the service sends it: the canonical binary, its leads by name in millivolts, and what is wrong with it in words.

export const STANDARD = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];

/** The step that stands for "not measured". */
const GAP = -32768;
const LONGEST_HEADER = 1 << 22;

/** What could not be read: what, why, and what to do about it. */
export class Fault extends Error {
  constructor(what, reason, remedy = "") {
    super(`${what}: ${reason}${remedy ? `; ${remedy}` : ""}`);
    Object.assign(this, { what, reason, remedy });
  }
}

/**
 * application/vnd.cmelt.ecg → {leads, rate, samples, seconds, signal (a Float32Array a lead, mV, NaN for gaps), missing,
 * flags, facts}.
 * @param {ArrayBuffer} buffer header length (uint32), JSON header, int16 [leads, samples], all little-endian
 */
export function decodeEcg(buffer) {
  const header = headerOf(buffer);
  const { leads, rate, samples } = header;
  const step = header.microvolts_per_step / 1000;
  const start = 4 + new DataView(buffer).getUint32(0, true);
  const steps = new DataView(buffer, start);
  const signal = leads.map((_, row) => {
    const trace = new Float32Array(samples);
    for (let at = 0; at < samples; at += 1) {
      const value = steps.getInt16(2 * (row * samples + at), true);
      trace[at] = value === GAP ? NaN : value * step;
    }
    return trace;
  });
  const missing = header.missing ?? STANDARD.filter((lead) => !leads.includes(lead));
  return { leads, rate, samples, seconds: samples / rate, signal, missing, flags: header.flags ?? [], facts: header.facts ?? {} };
}

function headerOf(buffer) {
  const broken = (why) => new Fault("the ECG", `the service's answer cannot be read (${why})`, "reload the page");
  if (buffer.byteLength < 4) throw broken("it is empty");
  const length = new DataView(buffer).getUint32(0, true);
  if (length > LONGEST_HEADER || 4 + length > buffer.byteLength) throw broken("its header is cut off");
  let header;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(buffer, 4, length)));
  } catch {
    throw broken("its header is no JSON");
  }
  if (header.format !== "cmelt-ecg" || header.version !== 1) throw broken("it is of another format or version");
  const { leads, rate, samples, microvolts_per_step: step } = header;
  if (!Array.isArray(leads) || !leads.every((lead) => typeof lead === "string")) throw broken("its leads have no names");
  if (!(rate > 0 && Number.isFinite(rate) && step > 0 && Number.isInteger(samples) && samples >= 0)) throw broken("rate or size");
  if (4 + length + 2 * leads.length * samples !== buffer.byteLength) throw broken("samples are missing");
  if (!leads.length || !samples) throw new Fault("the ECG", "it has no samples", "choose another file");
  return header;
}

/** Flags of the service → [{lead: name or null, serious, text}], what matters most first. */
export function marksOf(ecg) {
  const flags = [...new Set([...ecg.missing.map((lead) => `missing:${lead}`), ...ecg.flags])];
  return flags.map(markOf).sort((a, b) => b.serious - a.serious);
}

const OF_LEADS = {
  missing: ["not recorded", true],
  flat: ["flat, nothing is on it", true],
  clipped: ["clipped at the amplifier's limit", true],
  nan: ["gaps that were not measured", false],
  dropout: ["nothing for a second or more", true],
  jump: ["jumps that no heart makes", false],
  noisy: ["noisy", false],
  derived: ["computed from other leads, not measured", false],
  interpolated: ["short gaps, bridged", false],
  "partly-missing": ["missing in parts of the recording", false],
  "limb-inverted": ["upside down beside the other limb leads", true],
  "chest-inverted": ["upside down beside the other chest leads", true],
};

const OF_PAIRS = {
  duplicated: "hold the same samples under two names",
  "limb-swapped": "look swapped",
  "chest-swapped": "look swapped",
};

const OF_RECORDS = {
  "limb-inconsistent": ["the limb leads contradict one another", true],
  "arms-reversed": ["arm electrodes look reversed (or the heart lies on the right)", true],
  "upside-down": ["the whole record looks upside down", true],
  "chest-reversed": ["V1 to V6 look as if in reverse (or the heart lies on the right)", true],
  "poor-quality": ["poor quality: it can hardly be read", true],
  drifting: ["the baselines wander strongly", true],
  "low-voltage": ["low voltage in all leads, or a wrong gain", true],
  "high-voltage": ["unusually high voltage, or a wrong gain", true],
  short: ["shorter than 5 s", true],
  padded: ["shorter than the model's window", false],
  cropped: ["longer than the model's window", false],
  "unit-suspect": ["amplitudes suggest that the stated unit is wrong", true],
};

const OF_VALUES = {
  "rate-suspect": (value) => [`the stated sampling rate seems wrong (${value})`, true],
  mains: (value) => [`mains hum at ${value} Hz stands out`, false],
  "electrodes-exchanged": (value) => [`electrodes look exchanged: ${value}`, true],
};

/** One flag in words, with the leads that it is about. */
export function markOf(flag) {
  const cut = flag.indexOf(":");
  const [kind, value] = cut < 0 ? [flag, ""] : [flag.slice(0, cut), flag.slice(cut + 1)];
  if (kind in OF_LEADS) {
    const [words, serious] = OF_LEADS[kind];
    return { lead: value, leads: [value], kind, serious, words, text: `${value}: ${words}` };
  }
  if (kind in OF_PAIRS) {
    const leads = value.split("/");
    return { lead: null, leads, kind, serious: true, text: `${leads.join(" and ")} ${OF_PAIRS[kind]}` };
  }
  const [text, serious] = OF_VALUES[kind]?.(value) ?? OF_RECORDS[flag] ?? [flag, false];
  return { lead: null, leads: [], kind, serious, text };
}

/** Marks as they are told, [{serious, text}]: what is true of several leads is said of them together. */
export function toldOf(marks) {
  const told = new Map();
  for (const mark of marks) {
    const key = mark.words ? mark.kind : mark.text;
    if (!told.has(key)) told.set(key, { ...mark, leads: [] });
    told.get(key).leads.push(...mark.leads);
  }
  return [...told.values()].map(({ leads, words, text, serious }) => ({ serious, text: words ? `${among(leads)}: ${words}` : text }));
}

function among(leads) {
  return STANDARD.every((lead) => leads.includes(lead)) ? "all leads" : leads.join(", ");
}

/** What is written beside a lead's name on the paper: "flat", "not recorded", …; "" for a good one. */
export function labelOf(lead, marks) {
  const short = {
    missing: "not recorded",
    "limb-swapped": "swapped?",
    "limb-inverted": "inverted?",
    "chest-swapped": "swapped?",
    "chest-inverted": "inverted?",
    nan: "gaps",
    duplicated: "copy?",
  };
  const kinds = marks.filter((mark) => mark.leads.includes(lead)).map((mark) => short[mark.kind] ?? mark.kind.replace("-", " "));
  return [...new Set(kinds)].join(", ");
}

/** Facts that stand elsewhere on the page. */
const UNTOLD = ["flags", "missing", "missing_leads", "leads", "derived", "rate", "seconds", "samples", "record", "report"];

/** Facts of a header as [name, value] for people: nothing empty, nothing nested deeper than a list. */
export function factLines(ecg) {
  const lines = [
    ["rate", `${tidy(ecg.rate)} Hz`],
    ["length", `${tidy(ecg.seconds)} s`],
    ["leads", String(ecg.leads.length)],
  ];
  for (const [name, value] of Object.entries(ecg.facts)) {
    if (UNTOLD.includes(name)) continue;
    const text = Array.isArray(value) ? value.join(", ") : value !== null && typeof value === "object" ? flattened(value) : value;
    if (text !== null && text !== undefined && text !== "") lines.push([name.replaceAll("_", " "), String(text)]);
  }
  return lines;
}

function flattened(value) {
  return Object.entries(value)
    .filter(([, inner]) => inner !== null && typeof inner !== "object")
    .map(([name, inner]) => measurementText(name, inner))
    .join(", ");
}

/** "pr_ms", 160 → "PR 160 ms". */
function measurementText(name, value) {
  const [, what, unit = ""] = /^(.+?)(?:_(bpm|ms|deg))?$/.exec(name) ?? [null, name];
  const words = what.replaceAll("_", " ").replace(/^(p|pr|qrs|qt|t)\b/, (wave) => wave.toUpperCase());
  return `${words.replace(/^qtc\b/, "QTc")} ${value}${unit && ` ${unit === "deg" ? "°" : unit}`}`;
}

/** A number as short as it can be said: 500, 2.5, 0.04. */
export function tidy(value) {
  return String(Number(Number(value).toPrecision(6)));
}
