/** When a path's disc is seen, and how large it is then. Pace (easing, start, end) is changed with change_paths. */

import { Refusal, unlockedPathOf, withPath } from "./targets.js";

/** @typedef {import("../document.js").MotionDocument} MotionDocument */
/** @typedef {import("./targets.js").Change} Change */
/** @typedef {readonly [number, number]} Span both ends included */

/** @typedef {{type: "show_span", path: number, from: number, to: number}} ShowSpan clip times */
/**
 * Hides the disc between two clip times. Spans include their ends, so the times themselves stay visible unless they
 * are the clip's first or last; spanOfFrames in easing.js gives the times around whole frames.
 *
 * @typedef {{type: "hide_span", path: number, from: number, to: number}} HideSpan
 */
/** @typedef {{type: "set_radius_key", path: number, time: number, scale: number}} SetRadiusKey new or instead of one */
/** @typedef {{type: "change_radius_key", path: number, key: number, time: number, scale: number}} ChangeRadiusKey */
/** @typedef {{type: "remove_radius_key", path: number, key: number}} RemoveRadiusKey */
/** @typedef {ShowSpan | HideSpan | SetRadiusKey | ChangeRadiusKey | RemoveRadiusKey} TimingAction */

export const timingEdits = {
  /** @type {(document: MotionDocument, action: ShowSpan) => Change} */
  show_span: (document, { path, from, to }) => {
    checkSpan(from, to);
    const { visible } = unlockedPathOf(document, path);
    return { document: withPath(document, path, { visible: united([...visible, [from, to]]) }) };
  },

  /** @type {(document: MotionDocument, action: HideSpan) => Change} */
  hide_span: (document, { path, from, to }) => {
    checkSpan(from, to);
    const { visible } = unlockedPathOf(document, path);
    return { document: withPath(document, path, { visible: visible.flatMap((span) => without(span, from, to)) }) };
  },

  /** @type {(document: MotionDocument, action: SetRadiusKey) => Change} */
  set_radius_key: (document, { path, time, scale }) => {
    const others = unlockedPathOf(document, path).radius_keys.filter((key) => key.time !== time);
    return { document: withPath(document, path, { radius_keys: byTime([...others, { time, scale }]) }) };
  },

  /** @type {(document: MotionDocument, action: ChangeRadiusKey) => Change} */
  change_radius_key: (document, { path, key, time, scale }) => {
    const keys = keysOf(document, path, key);
    const others = keys.filter((_, index) => index !== key);
    if (others.some((other) => other.time === time)) {
      throw new Refusal("radiusKeyTaken", { time });
    }
    return { document: withPath(document, path, { radius_keys: byTime([...others, { time, scale }]) }) };
  },

  /** @type {(document: MotionDocument, action: RemoveRadiusKey) => Change} */
  remove_radius_key: (document, { path, key }) => {
    const left = keysOf(document, path, key).filter((_, index) => index !== key);
    return { document: withPath(document, path, { radius_keys: left }) };
  },
};

/** @type {(from: number, to: number) => void} */
function checkSpan(from, to) {
  if (!(from >= 0 && from <= to && to <= 1)) {
    throw new Refusal("badSpan", { from, to });
  }
}

/**
 * Spans in order, those that overlap or touch made one.
 *
 * @type {(spans: readonly Span[]) => Span[]}
 */
function united(spans) {
  /** @type {Span[]} */
  const result = [];
  for (const [from, to] of [...spans].sort((one, other) => one[0] - other[0])) {
    const before = result.at(-1);
    if (before !== undefined && from <= before[1]) {
      result[result.length - 1] = [before[0], Math.max(before[1], to)];
    } else {
      result.push([from, to]);
    }
  }
  return result;
}

/**
 * What is left of a span when what lies between two times is taken out.
 *
 * @type {(span: Span, from: number, to: number) => Span[]}
 */
function without([start, end], from, to) {
  if (end < from || start > to) {
    return [[start, end]];
  }
  /** @type {Span[]} */
  const parts = [
    [start, from],
    [to, end],
  ];
  return parts.filter(([first, last]) => first < last);
}

/** @type {(document: MotionDocument, path: number, key: number) => MotionDocument["paths"][number]["radius_keys"]} */
function keysOf(document, path, key) {
  const { radius_keys: keys } = unlockedPathOf(document, path);
  if (!(key in keys)) {
    throw new Refusal("noRadiusKey", { key, count: keys.length });
  }
  return keys;
}

/** @type {(keys: {time: number, scale: number}[]) => {time: number, scale: number}[]} */
function byTime(keys) {
  return keys.sort((one, other) => one.time - other.time);
}
