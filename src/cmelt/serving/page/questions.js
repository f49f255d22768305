// What is looked for: lines that somebody typed, or a ready set.

/** Ready sets: a bundled task, or bundled statements by name. The names are the package's; a test holds them to it. */
export const SETS = [
  {
    title: "A first look (12 findings)",
    classes: [
      "normal-ecg",
      "sinus-rhythm",
      "sinus-bradycardia",
      "sinus-tachycardia",
      "atrial-fibrillation",
      "first-degree-av-block",
      "left-bundle-branch-block",
      "right-bundle-branch-block",
      "ventricular-premature-beats",
      "left-ventricular-hypertrophy",
      "myocardial-infarction",
      "ischaemia",
    ],
  },
  { title: "Superclasses of PTB-XL (5)", task: "ptbxl-super" },
  { title: "Rhythms of PTB-XL (12)", task: "ptbxl-rhythm" },
  { title: "Diagnoses of PTB-XL (11)", task: "ptbxl-diagnoses" },
  { title: "Forms of PTB-XL (19)", task: "ptbxl-form" },
  { title: "PhysioNet/CinC Challenge 2021 (26)", task: "cinc2021" },
  { title: "Abnormalities of CODE (6)", task: "code" },
];

/** Lines of text → findings, as typed: what a line asks for is the service's to say. Lines without a word and repetitions go. */
export function findingsOf(text) {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  return [...new Set(lines.filter((line) => /[\p{L}\p{N}]/u.test(line)))];
}

/** Fields of a request: what of the menu (index into SETS, "" for the lines typed) and of the lines is asked. */
export function questionOf(choice, text) {
  if (choice === "") return { prompts: findingsOf(text) };
  const { task, classes } = SETS[Number(choice)];
  return task ? { task } : { classes };
}

/** The same for one finding out of an answer to `question`. */
export function questionOfOne(question, finding) {
  if (question.prompts) return { prompts: [finding] };
  return question.task ? { task: question.task, classes: [finding] } : { classes: [finding] };
}

/** Whether nothing is asked. */
export function isEmpty(question) {
  return question.prompts?.length === 0;
}
