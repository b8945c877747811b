/** The editor's words in the page's language, from the locales that packs bring and the host collects. */

import { ENGLISH } from "./strings.js";

/** @typedef {import("./strings.js").Key} Key */

/**
 * The editor's words for a language: those of a region ("zh-TW") over those of the language ("zh"). What is missing is
 * left out.
 *
 * @param {any} messages by language, as the host's /i18n gives them
 * @param {unknown} locale
 * @returns {Partial<Record<Key, string>>}
 */
export function translationFor(messages, locale) {
  const region = typeof locale === "string" ? locale : "en";
  const tables = [region.split("-")[0], region].map((language) => messages?.[language]?.draganything?.editor ?? {});
  const words = Object.entries(Object.assign({}, ...tables));
  return Object.fromEntries(words.filter(([key, text]) => key in ENGLISH && typeof text === "string"));
}
