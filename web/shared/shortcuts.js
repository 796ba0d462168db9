// Dispatches keys. All shortcuts are bound here with a description, so that the help is complete.
import { isCharacter, unlessBurst } from "./keyburst.js";
import { setting } from "./settings.js";

/** @typedef {"list" | "viewer"} Place */
/**
 * @typedef {object} Binding
 * @property {string[]} keys as returned by `nameOfKey`
 * @property {string[]} [also] further keys, not listed in the help
 * @property {string} text the description in the help
 * @property {boolean} [repeats] whether holding the key acts again and again
 * @property {boolean} [atOnce] whether a character acts before a barcode scanner is ruled out
 * @property {(event: KeyboardEvent) => void} act
 */
/** @typedef {{place: Place, title: string, bindings: Binding[]}} Group */

const LETTER = /^(Shift\+)?[A-Z]$/;
const WRITING = "input:not([type=checkbox]), textarea, select";
const PRESSED_BY_THEMSELVES = "button, a, input, summary";

/** @type {Group[]} */
export const groups = [];
/** @type {() => Place} */
let place = () => "list";

/**
 * @param {Place} where
 * @param {string} title
 * @param {Binding[]} bindings
 */
export function bind(where, title, bindings) {
  groups.push({ place: where, title, bindings });
}

/** @param {() => Place} whereNow */
export function listenToKeys(whereNow) {
  place = whereNow;
  document.addEventListener("keydown", pressed);
}

/** @returns {Place} */
export function currentPlace() {
  return place();
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  const target = event.target instanceof Element ? event.target : document.body;
  if (event.defaultPrevented || event.isComposing || isAsked()) return;
  if (target.closest(WRITING)) return;
  const name = nameOfKey(event);
  // Enter and Space activate the focused button.
  if (/^(Enter|Space)$/.test(name) && target.closest(PRESSED_BY_THEMSELVES)) return;
  if (LETTER.test(name) && !setting("letterKeys")) return;
  const where = place();
  const here = groups.filter((group) => group.place === where).flatMap((group) => group.bindings);
  const found = here.find(({ keys, also = [] }) => keys.includes(name) || also.includes(name));
  if (!found) return;
  event.preventDefault();
  if (event.repeat && !found.repeats) return;
  if (event.repeat || found.atOnce || !isCharacter(event)) found.act(event);
  else unlessBurst(() => isAsked() || place() !== where || found.act(event));
}

/** @returns {boolean} whether a dialog is open */
function isAsked() {
  return document.querySelector("dialog[open]") !== null;
}

/**
 * @param {KeyboardEvent} event
 * @returns {string} such as G, Shift+R, Ctrl+Z, PageDown, Shift+ArrowUp, ?, +
 */
export function nameOfKey({ key, shiftKey, ctrlKey, metaKey, altKey }) {
  const isLetter = /^\p{L}$/u.test(key);
  const plain = key === " " ? "Space" : isLetter ? key.toUpperCase() : key;
  // Characters such as ? or + need Shift on some keyboards only.
  const shift = shiftKey && (isLetter || plain.length > 1) ? "Shift+" : "";
  return `${altKey ? "Alt+" : ""}${ctrlKey || metaKey ? "Ctrl+" : ""}${shift}${plain}`;
}
