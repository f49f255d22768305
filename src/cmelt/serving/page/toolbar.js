// Settings of the paper, zoom, calipers, colours: what concerns all views at once.

import { byId, element, keep, kept, shown } from "./dom.js";
import { FILTERS } from "./filter.js";
import { scaleText, setUpScreenDialog } from "./screen.js";
import { LARGEST, SMALLEST } from "./view.js";

/** Paper smaller than this share of true size can hardly be read: it is not made so unasked. */
const READABLE = 0.5;

/**
 * Wires the toolbar to the settings and the views; → {command(name, view), zoomBy(factor)} for keys and wheel on the paper, and
 * {suit()} for when another ECG, or another size of the window, is there.
 */
export function setUpToolbar(settings, views) {
  const redraw = () => {
    views.forEach((view) => view.draw());
    refresh();
  };
  const refresh = () => {
    const measuring = views.filter((view) => view.calipers);
    byId("calipers").setAttribute("aria-pressed", String(settings.calipers));
    byId("march").disabled = byId("clear").disabled = measuring.length === 0;
    byId("march").setAttribute("aria-pressed", String(measuring.some((view) => view.calipers.march)));
    byId("scale").value = scaleText(settings.zoom);
  };
  const zoomTo = (zoom) => {
    settings.zoom = Math.min(LARGEST, Math.max(SMALLEST, zoom));
    views.forEach((view) => view.resize());
    refresh();
  };
  const chosen = (zoom) => {
    settings.zoomChosen = true;
    zoomTo(zoom);
  };
  // True size, unless the paper would stick out of its place and can be read when it does not. Whoever has zoomed is left alone.
  const suit = () => {
    const fitting = firstOf(views)?.fitting() ?? 1;
    if (settings.zoomChosen) refresh();
    else zoomTo(fitting < 1 && fitting >= READABLE ? fitting : 1);
  };
  const commands = {
    larger: () => chosen(settings.zoom * 1.25),
    smaller: () => chosen(settings.zoom / 1.25),
    "true-size": () => chosen(1),
    fit: (view) => chosen((view ?? firstOf(views)).fitting()),
    calipers: (view) => toggleCalipers(settings, view ?? firstOf(views), redraw, refresh),
    march: () => {
      for (const view of views) if (view.calipers) view.measure({ ...view.calipers, march: !view.calipers.march });
      refresh();
    },
    clear: () => {
      views.forEach((view) => view.ecg && view.measure(null));
      refresh();
    },
  };
  for (const [name, command] of Object.entries(commands)) byId(name).addEventListener("click", () => command());
  setUpMenus(settings, redraw);
  setUpScreenDialog(() => zoomTo(settings.zoom));
  byId("keys").addEventListener("click", () => byId("keys-dialog").showModal());
  byId("keys-close").addEventListener("click", () => byId("keys-dialog").close());
  // Calipers are also drawn and moved on the paper: the buttons follow.
  for (const kind of ["pointerup", "keyup"]) byId("ecgs").addEventListener(kind, refresh);
  refresh();
  return { command: (name, view) => commands[name](view), zoomBy: (factor) => chosen(settings.zoom * factor), suit };
}

function firstOf(views) {
  return views.find((view) => view.ecg);
}

/** Turns calipers on, with a pair in the middle of `view` so that keys can move it, or off. */
function toggleCalipers(settings, view, redraw, refresh) {
  settings.calipers = !settings.calipers;
  redraw();
  if (settings.calipers) view.placeCalipers();
  refresh();
}

function setUpMenus(settings, redraw) {
  byId("filter").replaceChildren(...Object.entries(FILTERS).map(([value, { name }]) => element("option", { value }, name)));
  for (const name of ["layout", "speed", "gain", "filter"]) {
    const menu = byId(name);
    menu.value = String(settings[name]); // a reloaded page may have kept another choice
    menu.addEventListener("change", () => {
      settings[name] = typeof settings[name] === "number" ? Number(menu.value) : menu.value;
      redraw();
    });
  }
}

/** The menu of colours: as the system has them, light or dark; remembered. */
export function setUpTheme() {
  const menu = byId("theme");
  const apply = () => {
    if (menu.value === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", menu.value);
  };
  menu.value = kept("cmelt-theme", "auto");
  if (!menu.value) menu.value = "auto";
  apply();
  menu.addEventListener("change", () => {
    keep("cmelt-theme", menu.value);
    apply();
  });
}

/** The dialog that asks for a bearer token: () → Promise of the token, null where none is given. */
export function tokenDialog() {
  const [dialog, input] = ["token-dialog", "token"].map(byId);
  let waiting = null;
  byId("token-cancel").addEventListener("click", () => dialog.close());
  return () => {
    waiting ??= new Promise((answer) => {
      dialog.returnValue = "";
      dialog.addEventListener(
        "close",
        () => {
          waiting = null;
          answer(dialog.returnValue === "ok" ? input.value.trim() || null : null);
        },
        { once: true },
      );
      dialog.showModal();
    });
    return waiting;
  };
}

/** Shows the toolbar once there is something to set. */
export function showToolbar(visible) {
  shown(byId("toolbar"), visible);
}
