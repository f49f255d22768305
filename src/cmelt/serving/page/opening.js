// Ways in: a file that is chosen, files that are dropped, a simulated example.

import { listExamples, readExample, readFiles } from "./api.js";
import { byId, element, shown } from "./dom.js";

/**
 * Sets up everything that opens an ECG.
 * @param {(slot: "a" | "b", name: string, reading: () => Promise) => void} open shows what `reading` gives
 */
export function setUpOpening(open) {
  const [choose, file] = [byId("choose"), byId("file")];
  choose.addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    openFiles([...file.files], open);
    file.value = ""; // the same file may be chosen again
  });
  setUpDrop(open);
  byId("example-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = byId("example").value;
    open(slot(), `${byId("example").selectedOptions[0].textContent} (simulated)`, () => readExample(name));
  });
}

/** Fills the menu of examples, where the service has any. */
export async function offerExamples() {
  const examples = await listExamples();
  byId("example").replaceChildren(...examples.map(({ name, title }) => element("option", { value: name }, title)));
  shown(byId("example-form"), examples.length > 0);
}

/** Which ECG is opened next: "a" or "b". */
function slot() {
  return document.querySelector('input[name="slot"]:checked').value;
}

/** What is to be believed where a file leaves it unsaid. */
function given() {
  return { rate: byId("given-rate").value.trim(), unit: byId("given-unit").value, leads: byId("given-leads").value.trim() };
}

function openFiles(files, open) {
  if (!files.length) return;
  const header = files.find((file) => /\.hea$/i.test(file.name)) ?? files[0];
  const said = given();
  open(slot(), header.name, () => readFiles(files, said));
}

function setUpDrop(open) {
  const mark = (dropping) => byId("opening").classList.toggle("dropping", dropping);
  document.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    openFiles([...event.dataTransfer.files], open);
  });
}
