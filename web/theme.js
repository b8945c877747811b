/** The editor's colours: of the host's theme where it names them, and entity colours that stay apart. */

/** @typedef {import("./document.js").MotionDocument} MotionDocument */

/**
 * Colours as CSS writes them. Lines over the picture are drawn twice, a wide `casing` under a narrow colour, so that
 * they show on any picture.
 *
 * @typedef {object} Theme
 * @property {boolean} dark
 * @property {string} background around the picture
 * @property {string} paper where there is no picture
 * @property {string} paperGrid lines on the paper
 * @property {string} edge the picture's border
 * @property {string} text
 * @property {string} fadedText
 * @property {string} accent selection, hover and drafts of no entity
 * @property {string} onAccent text and signs on the accent
 * @property {string} casing under lines over the picture
 * @property {string} pointFill inside of points that are not selected
 * @property {string} label background of labels over the picture
 * @property {string} labelText
 * @property {string} veil over the ground while cut-outs move
 * @property {string} camera the camera's frame
 * @property {string} warning
 * @property {string} onWarning
 * @property {string} positive clicks on what belongs to the entity
 * @property {string} negative clicks on what does not, and erasing
 * @property {string} font family
 */

/** Okabe and Ito's colours, as the Python core draws entities: told apart by people who see fewer of them, too. */
export const ENTITY_COLORS = Object.freeze([
  "#e69f00",
  "#56b4e9",
  "#009e73",
  "#f0e442",
  "#0072b2",
  "#d55e00",
  "#cc79a7",
]);

/** @type {Theme} */
export const DARK = Object.freeze({
  dark: true,
  background: "#17181c",
  paper: "#24262c",
  paperGrid: "#2e3138",
  edge: "#3c4048",
  text: "#e6e7ea",
  fadedText: "#9a9ea8",
  accent: "#5cc8ff",
  onAccent: "#06202e",
  casing: "rgba(10, 11, 14, 0.72)",
  pointFill: "#ffffff",
  label: "rgba(16, 17, 21, 0.88)",
  labelText: "#f4f5f7",
  veil: "rgba(23, 24, 28, 0.45)",
  camera: "#ffd166",
  warning: "#ffb020",
  onWarning: "#241700",
  positive: "#3ddc84",
  negative: "#ff5a5f",
  font: "system-ui, sans-serif",
});

/** @type {Theme} */
export const LIGHT = Object.freeze({
  dark: false,
  background: "#e9eaee",
  paper: "#f8f8fa",
  paperGrid: "#ecedf1",
  edge: "#b9bcc6",
  text: "#1d2026",
  fadedText: "#666b76",
  accent: "#0077c8",
  onAccent: "#ffffff",
  casing: "rgba(10, 11, 14, 0.66)",
  pointFill: "#ffffff",
  label: "rgba(255, 255, 255, 0.93)",
  labelText: "#1d2026",
  veil: "rgba(233, 234, 238, 0.4)",
  camera: "#c77700",
  warning: "#f2a100",
  onWarning: "#241700",
  positive: "#12934f",
  negative: "#d92d3a",
  font: "system-ui, sans-serif",
});

// The host's names of its colours. What stands over the picture keeps its own: the picture has no theme.
/** @type {readonly (readonly [keyof Theme, readonly string[]])[]} */
const FROM_HOST = [
  ["background", ["--bg-color", "--comfy-menu-bg"]],
  ["paper", ["--comfy-input-bg"]],
  ["text", ["--input-text", "--fg-color"]],
  ["fadedText", ["--descrip-text"]],
  ["edge", ["--border-color"]],
];

/**
 * The theme of the page around an element: dark or light by the host's background, with its colours where it has them.
 *
 * @param {Element} element
 * @returns {Theme}
 */
export function themeOf(element) {
  const style = getComputedStyle(element);
  return themeFrom((name) => style.getPropertyValue(name).trim());
}

/**
 * The theme that a host's CSS variables make; a variable that is missing (empty) leaves the own colour.
 *
 * @param {(name: string) => string} variable
 * @returns {Theme}
 */
export function themeFrom(variable) {
  const isDark = (luminance(variable("--bg-color") || variable("--comfy-menu-bg")) ?? 0) < 0.5;
  const own = isDark ? DARK : LIGHT;
  const found = FROM_HOST.flatMap(([key, names]) => {
    const value = names.map(variable).find((text) => luminance(text) !== null);
    return value === undefined ? [] : [[key, value]];
  });
  return { ...own, ...Object.fromEntries(found) };
}

/**
 * The colour of an entity: its own, or the table's at its place in the document. An unknown id has the first colour.
 *
 * @param {MotionDocument} document
 * @param {number} id
 * @returns {string}
 */
export function entityColor(document, id) {
  const place = Math.max(
    document.entities.findIndex((entity) => entity.id === id),
    0,
  );
  return document.entities[place]?.color ?? ENTITY_COLORS[place % ENTITY_COLORS.length];
}

/**
 * Relative luminance 0..1 of a colour as #rgb, #rrggbb or rgb(...), null where it is none of them.
 *
 * @param {string} color
 * @returns {number | null}
 */
export function luminance(color) {
  const parts = channels(color);
  if (parts === null) {
    return null;
  }
  const [red, green, blue] = parts.map((part) => (part / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** @type {(color: string) => number[] | null} */
function channels(color) {
  const long = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})(?:[0-9a-f]{2})?$/i.exec(color);
  if (long !== null) {
    return long.slice(1).map((digits) => Number.parseInt(digits, 16));
  }
  const short = /^#([0-9a-f])([0-9a-f])([0-9a-f])[0-9a-f]?$/i.exec(color);
  if (short !== null) {
    return short.slice(1).map((digit) => Number.parseInt(digit + digit, 16));
  }
  const functional = /^rgba?\(\s*([\d.]+)[\s,]+([\d.]+)[\s,]+([\d.]+)/.exec(color);
  return functional === null ? null : functional.slice(1).map(Number);
}
