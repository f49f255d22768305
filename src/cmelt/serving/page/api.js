// The service: one function a question. Whatever goes wrong comes back as a Fault that says what, why and what to do.

import { Fault, decodeEcg } from "./ecg.js";

let token = null;
let askForToken = null;

/** Sets who is asked for the bearer token when the service wants one: `() => Promise<string | null>`. */
export function setTokenDialog(ask) {
  askForToken = ask;
}

/**
 * What this service can do: {ready, classify, explain, search, examples: bool, model: name or null}. What is not announced, in
 * its OpenAPI or by /readyz, is not there.
 */
export async function capabilities() {
  const [openapi, ready] = await Promise.all([quietly("openapi.json"), quietly("readyz")]);
  const paths = openapi?.paths ?? {};
  const told = { ...ready, ...ready?.capabilities };
  const has = (name, also = []) => `/v1/${name}` in paths && [name, ...also].every((key) => !isDenied(told[key]));
  return {
    classify: has("classify"),
    explain: has("explain"),
    search: has("search", ["index"]),
    examples: "/v1/examples" in paths,
    ready: told.ready !== false,
    model: modelName(told.model),
  };
}

/** Whether a service says that it has no such thing: false, null, "none" … A key that it does not mention denies nothing. */
function isDenied(value) {
  return value === false || value === null || ["no", "none", "off", "missing", "absent"].includes(value);
}

function modelName(model) {
  return typeof model === "string" ? model : (model?.name ?? null);
}

/** Names of the bundled examples as [{name, title}]. */
export async function listExamples() {
  const answer = await json(await request("v1/examples"));
  const list = Array.isArray(answer) ? answer : (answer.examples ?? []);
  return list.map((one) => (typeof one === "string" ? { name: one, title: one } : { ...one, title: one.title ?? one.name }));
}

/** A bundled example as an ECG. */
export async function readExample(name) {
  return readCanonical(await request(`v1/examples/${encodeURIComponent(name)}`));
}

/**
 * Files of any format as an ECG.
 * @param {File[]} files one, or those that belong together (WFDB)
 * @param {Object<string, string>} given what the files leave unsaid: rate, unit, leads
 */
export async function readFiles(files, given) {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  for (const [name, value] of Object.entries(given)) if (value) form.append(name, value);
  return readCanonical(await request("v1/ecg", { method: "POST", body: form }));
}

/** The ECG of a hit, where the service offers one: an address of its own. */
export async function readLinked(address) {
  const url = new URL(address, document.baseURI);
  if (url.origin !== window.location.origin) throw new Fault("the ECG", "lies on another server", "open it there");
  return readCanonical(await request(url.href));
}

async function readCanonical(response) {
  const buffer = await response.arrayBuffer();
  return { ...decodeEcg(buffer), canonical: buffer };
}

/** Scores: {notice, model, scoring, results: [{class, score, probability, low, high, cannot_tell}], flags, facts}. */
export async function classify(ecg, question) {
  return json(await request("v1/classify", posted(ecg, question)));
}

/** Evidence for one finding: {leads, seconds, values, score, baseline, method, notes}. */
export async function explain(ecg, question) {
  return json(await request("v1/explain", posted(ecg, question)));
}

/** What is nearest to an ECG, or to a text: {notice, among, hits: [{record, similarity, report, age, sex, labels, ecg}]}. */
export async function search(ecg, question) {
  return json(await request("v1/search", posted(ecg, question)));
}

/** An ECG as the service gave it, its options in the address; without an ECG, a form. Lists go as several values of one name. */
function posted(ecg, fields) {
  const values = Object.entries(fields).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  const options = values.filter(([, one]) => one !== null && one !== undefined && one !== "");
  if (ecg) {
    const headers = { "Content-Type": "application/vnd.cmelt.ecg" };
    return { method: "POST", query: new URLSearchParams(options), headers, body: ecg.canonical };
  }
  const form = new FormData();
  for (const [name, one] of options) form.append(name, one);
  return { method: "POST", body: form };
}

async function request(path, options = {}) {
  const response = await sent(path, options);
  if (response.status === 401 && askForToken) {
    token = await askForToken();
    if (token) return checked(await sent(path, options));
  }
  return checked(response);
}

async function sent(path, { query = "", headers = {}, ...options }) {
  const address = new URL(path, document.baseURI);
  address.search = String(query);
  const said = token ? { ...headers, Authorization: `Bearer ${token}` } : headers;
  try {
    return await fetch(address, { ...options, headers: said, cache: "no-store" });
  } catch {
    throw new Fault("the service", "does not answer", "see whether `cmelt serve` still runs");
  }
}

async function checked(response) {
  if (response.ok) return response;
  const said = await response.json().catch(() => null);
  const { what, reason, remedy } = said?.error ?? {};
  const wait = response.headers.get("Retry-After");
  const later = wait ? `again in ${wait} s` : "";
  throw new Fault(what ?? "the service", reason ?? `answered ${response.status}`, [remedy, later].filter(Boolean).join("; "));
}

async function json(response) {
  try {
    return await response.json();
  } catch {
    throw new Fault("the service", "answered something that is no JSON", "reload the page");
  }
}

async function quietly(path) {
  try {
    const response = await sent(path, {});
    return await response.json(); // /readyz answers 503 with the reason while a model loads
  } catch {
    return null;
  }
}
