// Filters for the eye. They change what is drawn, never what the model is given, and the paper says which one is on.

/** Pass bands in Hz (0: no such edge) and notches, by the name in the menu. */
export const FILTERS = {
  none: { name: "off", band: [0, 0], notch: 0 },
  monitor: { name: "0.67–40 Hz", band: [0.67, 40], notch: 0 },
  diagnostic: { name: "0.05–150 Hz", band: [0.05, 150], notch: 0 },
  mains50: { name: "50 Hz notch", band: [0, 0], notch: 50 },
  mains60: { name: "60 Hz notch", band: [0, 0], notch: 60 },
};

const BUTTERWORTH = Math.SQRT1_2;
const NOTCH_WIDTH = 30; // centre over width
/** No edge is put beyond this share of the rate: the sampling itself cuts there. */
const HIGHEST = 0.45;

/** The ECG with every lead filtered there and back, so that nothing moves in time; gaps stay gaps. */
export function filtered(ecg, name) {
  const sections = sectionsOf(FILTERS[name], ecg.rate);
  return sections.length ? { ...ecg, signal: ecg.signal.map((trace) => bridged(trace, sections, ecg.rate)) } : ecg;
}

/** What the paper says of a filter; a filter that has nothing to do at this rate says so. */
export function filterText(name, rate) {
  if (name === "none") return "filter off";
  const idle = sectionsOf(FILTERS[name], rate).length === 0;
  return `filter ${FILTERS[name].name}${idle ? " (no effect at this rate)" : ""}, display only`;
}

/** Second-order sections {b, a} of a filter at a rate (bilinear transform of an analogue prototype). */
export function sectionsOf({ band: [low, high], notch }, rate) {
  const sections = [];
  if (low > 0 && low < HIGHEST * rate) sections.push(section("high-pass", low, rate, BUTTERWORTH));
  if (high > 0 && high < HIGHEST * rate) sections.push(section("low-pass", high, rate, BUTTERWORTH));
  if (notch > 0 && notch < HIGHEST * rate) sections.push(section("notch", notch, rate, NOTCH_WIDTH));
  return sections;
}

function section(kind, edge, rate, quality) {
  const angle = (2 * Math.PI * edge) / rate;
  const [cosine, alpha] = [Math.cos(angle), Math.sin(angle) / (2 * quality)];
  const side = kind === "low-pass" ? (1 - cosine) / 2 : (1 + cosine) / 2;
  const middle = { "low-pass": 1 - cosine, "high-pass": -1 - cosine, notch: -2 * cosine }[kind];
  const outer = kind === "notch" ? 1 : side;
  const scale = 1 + alpha;
  return { b: [outer / scale, middle / scale, outer / scale], a: [(-2 * cosine) / scale, (1 - alpha) / scale] };
}

/** Each stretch between gaps on its own; single samples stay as they are. */
function bridged(trace, sections, rate) {
  const out = Float32Array.from(trace);
  let start = 0;
  while (start < trace.length) {
    while (start < trace.length && !Number.isFinite(trace[start])) start += 1;
    let stop = start;
    while (stop < trace.length && Number.isFinite(trace[stop])) stop += 1;
    if (stop - start > 2) out.set(thereAndBack(trace.subarray(start, stop), sections, rate), start);
    start = stop;
  }
  return out;
}

/** Forwards, then backwards, with both ends continued by their point reflections (two seconds, or what there is). */
export function thereAndBack(trace, sections, rate) {
  const pad = Math.min(trace.length - 1, Math.round(2 * rate));
  const [first, last, size] = [trace[0], trace.at(-1), trace.length];
  const long = Float64Array.from({ length: size + 2 * pad }, (_, at) => {
    if (at < pad) return 2 * first - trace[pad - at];
    if (at >= pad + size) return 2 * last - trace[size - 2 - (at - pad - size)];
    return trace[at - pad];
  });
  for (const one of sections) {
    pass(long, one);
    long.reverse();
    pass(long, one);
    long.reverse();
  }
  return long.subarray(pad, pad + size);
}

/** One section over `line`, in place, as if the first value had stood for ever. */
function pass(line, { b, a }) {
  const settled = (line[0] * (b[0] + b[1] + b[2])) / (1 + a[0] + a[1]);
  let second = b[2] * line[0] - a[1] * settled;
  let first = b[1] * line[0] - a[0] * settled + second;
  for (let at = 0; at < line.length; at += 1) {
    const [x, y] = [line[at], b[0] * line[at] + first];
    first = b[1] * x - a[0] * y + second;
    second = b[2] * x - a[1] * y;
    line[at] = y;
  }
}
