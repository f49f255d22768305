// True size: a browser takes a screen for 96 pixels an inch. How large it really is, a bank card tells.

import { byId, keep, kept } from "./dom.js";

const KEY = "cmelt-screen";
const [LEAST, MOST] = [0.5, 2];

/** By how much a millimetre of this screen must be stretched to be one; 1 until somebody has measured. */
export function screenFactor() {
  const factor = Number(kept(KEY, "1"));
  return factor >= LEAST && factor <= MOST ? factor : 1;
}

/** "100 % of true size (screen not calibrated)". */
export function scaleText(zoom) {
  const calibrated = kept(KEY, null) !== null;
  return `${Math.round(100 * zoom)} % of true size${calibrated ? "" : " (screen not calibrated)"}`;
}

/** Sets up the dialog in which a card is held against the screen; `changed` is called when the factor is. */
export function setUpScreenDialog(changed) {
  const [dialog, card, slider, said] = ["screen-dialog", "card", "card-width", "card-said"].map(byId);
  const preview = () => {
    const factor = Number(slider.value) / 100;
    card.style.setProperty("--factor", factor);
    said.value = `${slider.value} % (a card is 85.6 mm wide)`;
  };
  slider.addEventListener("input", preview);
  byId("screen").addEventListener("click", () => {
    slider.value = Math.round(1000 * screenFactor()) / 10;
    preview();
    dialog.showModal();
  });
  byId("card-keep").addEventListener("click", () => close(Number(slider.value) / 100));
  byId("card-forget").addEventListener("click", () => close(null));
  byId("card-cancel").addEventListener("click", () => dialog.close());

  function close(factor) {
    keep(KEY, factor);
    dialog.close();
    changed();
  }
}
