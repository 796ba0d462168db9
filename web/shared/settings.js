// The user's settings, stored in this browser.

const DEFAULTS = { letterKeys: true, goOn: true, sideBySide: true, navigator: true, label: false };

/** @typedef {keyof typeof DEFAULTS} Setting */

/**
 * @param {Setting} name
 * @returns {boolean}
 */
export function setting(name) {
  const kept = localStorage.getItem(`review.${name}`);
  return kept === null ? DEFAULTS[name] : kept === "yes";
}

/**
 * @param {Setting} name
 * @param {boolean} value
 */
export function choose(name, value) {
  localStorage.setItem(`review.${name}`, value ? "yes" : "no");
}

/**
 * @param {Setting} name
 * @returns {boolean} the new value
 */
export function flip(name) {
  choose(name, !setting(name));
  return setting(name);
}

/** What this workstation's barcode scanner sends before and after each code, and its longest pause between keys, in ms. */
const TEXTS = { scanPrefix: "", scanSuffix: "", scanPause: "80" };

/** @typedef {keyof typeof TEXTS} TextSetting */

/**
 * @param {TextSetting} name
 * @returns {string}
 */
export function text(name) {
  return localStorage.getItem(`review.${name}`) ?? TEXTS[name];
}

/**
 * @param {TextSetting} name
 * @param {string} value
 */
export function write(name, value) {
  localStorage.setItem(`review.${name}`, value);
}
