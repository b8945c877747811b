/** Elements of the page, made in one line each. */

/** @typedef {Node | string | null | undefined} Child */
/** @typedef {Record<string, unknown>} Properties */

/**
 * An element with its properties and children. `class`, `data-*`, `aria-*` and `role` are attributes, `on*` listeners,
 * the rest properties of the element.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Properties} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on") && typeof value === "function") {
      made.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (name === "class" || name === "role" || name.startsWith("data-") || name.startsWith("aria-")) {
      made.setAttribute(name, String(value));
    } else {
      Object.assign(made, { [name]: value });
    }
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/**
 * A sign of the toolbar, drawn with lines of the text's colour on a square of 24.
 *
 * @param {string} path SVG path data
 * @returns {SVGSVGElement}
 */
export function icon(path) {
  const space = "http://www.w3.org/2000/svg";
  const made = document.createElementNS(space, "svg");
  const line = document.createElementNS(space, "path");
  made.setAttribute("viewBox", "0 0 24 24");
  made.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  made.append(line);
  return made;
}

/**
 * A button with a sign or a text, named for screen readers and by its tooltip.
 *
 * @param {{label: string, sign?: string, text?: string, keys?: string, press: () => void, class?: string}} how
 * @returns {HTMLButtonElement}
 */
export function button({ label, sign, text, keys, press, class: name }) {
  return element(
    "button",
    {
      type: "button",
      class: name ?? "da-button",
      title: keys ? `${label} (${keys})` : label,
      "aria-label": label,
      onclick: press,
    },
    sign === undefined ? text : icon(sign),
  );
}

/**
 * Writes a property only where it changed: the browser then has nothing to lay out anew.
 *
 * @template {HTMLElement} Kind
 * @template {keyof Kind} Name
 * @param {Kind} target
 * @param {Name} name
 * @param {Kind[Name]} value
 */
export function set(target, name, value) {
  if (target[name] !== value) {
    target[name] = value;
  }
}
