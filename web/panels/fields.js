/** Labelled fields that change the document: one step of the history for each change, however long it is dragged. */

import { element } from "../dom.js";

/** @typedef {import("../editor.js").TrajectoryEditor} TrajectoryEditor */

/**
 * A field on the page. `show` writes a value into it unless the user is typing there; null is "mixed", or nothing.
 *
 * @template Value
 * @typedef {object} Field
 * @property {HTMLElement} element
 * @property {(value: Value | null) => void} show
 * @property {(isEnabled: boolean) => void} enable
 */

/**
 * @typedef {object} NumberHow
 * @property {string} label
 * @property {string} [hint]
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [step]
 * @property {string} [empty] the placeholder where the field may be empty
 * @property {(value: number | undefined) => void} change undefined: it was emptied
 */

/**
 * A number that is typed, or stepped with the arrow keys.
 *
 * @param {TrajectoryEditor} editor
 * @param {NumberHow} how
 * @returns {Field<number>}
 */
export function numberField(editor, { label, hint, min, max, step = 1, empty, change }) {
  const input = element("input", { type: "number", step: String(step), placeholder: empty ?? "" });
  Object.assign(input, { min: min ?? "", max: max ?? "" });
  let before = "";
  const apply = () => {
    if (input.value === before) {
      return;
    }
    const value = input.valueAsNumber;
    if (input.value === "" && empty !== undefined) {
      change(undefined);
    } else if (Number.isFinite(value)) {
      change(Math.min(Math.max(value, min ?? -Infinity), max ?? Infinity));
    } else {
      input.value = before;
      return;
    }
    before = input.value;
  };
  input.addEventListener("focus", () => {
    before = input.value;
  });
  input.addEventListener("change", apply);
  input.addEventListener("keydown", (event) => leaveByKey(editor, event, input, () => before));
  return {
    element: labelled(label, hint, input),
    show: (value) => {
      const text = value === null ? "" : String(Math.round(value * 1000) / 1000);
      if (document.activeElement !== input || input.value === before) {
        [input.value, before] = [text, text];
      }
    },
    enable: (isEnabled) => enable(input, isEnabled),
  };
}

/**
 * @param {TrajectoryEditor} editor
 * @param {{label: string, hint?: string, change: (value: string) => void}} how
 * @returns {Field<string>}
 */
export function textField(editor, { label, hint, change }) {
  const input = element("input", { type: "text" });
  let before = "";
  input.addEventListener("change", () => {
    change(input.value);
    before = input.value;
  });
  input.addEventListener("keydown", (event) => leaveByKey(editor, event, input, () => before));
  return {
    element: labelled(label, hint, input),
    show: (value) => {
      if (document.activeElement !== input) {
        [input.value, before] = [value ?? "", value ?? ""];
      }
    },
    enable: (isEnabled) => enable(input, isEnabled),
  };
}

/**
 * @template {string} Value
 * @param {{label: string, hint?: string, choices: readonly (readonly [Value, string])[],
 *   change: (value: Value) => void}} how
 * @returns {Field<Value> & {offer: (choices: readonly (readonly [Value, string])[]) => void}}
 */
export function choiceField({ label, hint, choices, change }) {
  const input = element("select");
  /** @type {(choices: readonly (readonly [Value, string])[]) => void} */
  const offer = (offered) => {
    input.replaceChildren(...offered.map(([value, text]) => element("option", { value }, text)));
  };
  offer(choices);
  input.addEventListener("change", () => change(/** @type {Value} */ (input.value)));
  return {
    element: labelled(label, hint, input),
    show: (value) => {
      if (input.value !== (value ?? "")) {
        input.value = value ?? "";
      }
    },
    enable: (isEnabled) => enable(input, isEnabled),
    offer,
  };
}

/**
 * @param {{label: string, hint?: string, change: (value: boolean) => void}} how
 * @returns {Field<boolean>}
 */
export function checkField({ label, hint, change }) {
  const input = element("input", { type: "checkbox" });
  input.addEventListener("change", () => change(input.checked));
  const whole = element("label", { class: "da-check", title: hint ?? "" }, input, label);
  return {
    element: whole,
    show: (value) => {
      input.checked = value === true;
      input.indeterminate = value === null;
    },
    enable: (isEnabled) => enable(input, isEnabled),
  };
}

/**
 * A part of the settings under a heading that folds.
 *
 * @param {string} title
 * @param {readonly (Node | null)[]} children
 * @param {boolean} [isOpen]
 * @returns {HTMLDetailsElement}
 */
export function section(title, children, isOpen = true) {
  return element("details", { class: "da-section", open: isOpen }, element("summary", {}, title), ...children);
}

/**
 * The value that all items share, or null.
 *
 * @template Item, Value
 * @param {readonly Item[]} items
 * @param {(item: Item) => Value} value
 * @returns {Value | null}
 */
export function shared(items, value) {
  const [first, ...others] = items.map(value);
  return items.length > 0 && others.every((other) => other === first) ? first : null;
}

/** @type {(label: string, hint: string | undefined, input: HTMLElement) => HTMLLabelElement} */
function labelled(label, hint, input) {
  return element("label", { class: "da-field", title: hint ?? "" }, element("span", {}, label), input);
}

/** @type {(input: HTMLInputElement | HTMLSelectElement, isEnabled: boolean) => void} */
function enable(input, isEnabled) {
  if (input.disabled === isEnabled) {
    input.disabled = !isEnabled;
  }
}

/**
 * Enter takes what was typed and Escape drops it; both give the keys back to the canvas.
 *
 * @type {(editor: TrajectoryEditor, event: KeyboardEvent, input: HTMLInputElement, before: () => string) => void}
 */
function leaveByKey(editor, event, input, before) {
  if (event.key === "Escape") {
    input.value = before();
  }
  if (event.key === "Escape" || event.key === "Enter") {
    event.preventDefault();
    editor.focus();
  }
}
