// Elements made from code. Text always goes in as text: a record's header, however hostile, never becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element with properties, attributes (`aria-…`, `data-…`, `for`), listeners (`onclick`) and children. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && !name.includes("-")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** An SVG element with attributes and children; null attributes are left away. */
export function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** The element of the document with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** Shows `element` or hides it, for eyes and for screen readers. */
export function shown(element, visible) {
  element.hidden = !visible;
}

/** A value that the browser keeps between visits, or `otherwise` where it keeps none. */
export function kept(key, otherwise) {
  try {
    return window.localStorage.getItem(key) ?? otherwise;
  } catch {
    return otherwise; // storage may be switched off; the page works without
  }
}

/** Has the browser keep a value; null forgets it. */
export function keep(key, value) {
  try {
    if (value === null) window.localStorage.removeItem(key);
    else window.localStorage.setItem(key, String(value));
  } catch {
    // as above
  }
}
