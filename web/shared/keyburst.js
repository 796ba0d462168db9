// Distinguishes a barcode scanner, which types a code within milliseconds, from keys that a person presses.
//
// A single key acts when the page has been free for a pause of 80 ms without another key, or soon after its release where it is
// held for longer. Two characters in a shorter time are a burst, which never acts as shortcuts: with Enter or Tab, or
// when it is long enough, it is a scanned code.

import { text } from "./settings.js";

/**
 * @typedef {object} Listeners
 * @property {(code: string) => Promise<void>} scanned while its promise is pending, single keys are refused
 * @property {(keys: string[]) => void} ignored called for keys that came too fast for a person, and are not a code
 * @property {(code: string) => void} refused called for a key that is pressed while a code is looked up
 */
/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Writable */

const [SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS] = [80, 500]; // scanners send a key every 5 to 60 ms; some wireless ones are slower
const TYPED_MS = 70; // a person who writes a word into an input takes longer for each key
const BURST_PAUSES = 3; // a burst ends after this many: no single key waits for it
const SUFFIX_MS = 1000; // an Enter that follows a code this late still belongs to it
const REST_MS = 500; // and so do characters after a burst that ended without Enter or Tab
const LATE_MS = 15; // a timer that is later than this was held up, and keys may be waiting behind it
const RELEASED_MS = 25; // some programs that type hold each key until shortly before the next one
const MOST_WAITS = 5; // however busy the page is, and however long the key is held
const SHORTEST_CODE = 4; // without Enter or Tab
const LONGEST_CODE = 400;
const SUFFIXES = ["Enter", "Tab"];
const MODIFIERS = ["Shift", "CapsLock", "Control", "Alt", "AltGraph", "Meta", "Dead", "Process", "Unidentified"];
/** The attribute of inputs that a code may be scanned into. */
export const TAKES_CODES = "data-takes-codes";
const OWN = `[${TAKES_CODES}], dialog input`; // what is written into them is checked before it acts

/** @type {Listeners} */
let tell;
/** @type {KeyboardEvent[]} the characters since the last pause */
let strokes = [];
/** @type {(() => void) | null} what the first of them does if it stays alone */
let held = null;
/** @type {{input: Writable, value: string} | null} the input that the burst goes to, as it was before */
let written = null;
let timer = 0;
let waits = 0; // how often the single key has had to wait again
let isDown = false; // whether the single key is still held
let endedAt = -Infinity; // when the last burst ended
let restUntil = -Infinity;
/** @type {string | null} the code that is looked up */
let lookedUp = null;
/** @type {Set<string>} keys whose release must not act either, such as Space on a button */
const consumed = new Set();

/** @param {Listeners} listeners */
export function listenForBursts(listeners) {
  tell = listeners;
  window.addEventListener("keydown", pressed, true);
  window.addEventListener("keyup", released, true);
  window.addEventListener("pointerdown", actAlone, true);
}

/**
 * Carries out what a single character does, unless it turns out to be the first of a burst.
 * @param {() => void} act
 */
export function unlessBurst(act) {
  held = act;
}

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (event.isComposing || MODIFIERS.includes(event.key)) return;
  if (SUFFIXES.includes(event.key)) suffix(event);
  else if (isCharacter(event)) character(event);
  else if (strokes.length > 1 && !written && follows(event)) consume(event); // a control character of the code
  else actAlone();
}

/** @param {KeyboardEvent} event */
function released(event) {
  if (strokes.length === 1 && strokes[0].code === event.code) isDown = false;
  if (consumed.delete(event.key)) swallow(event);
}

/**
 * @param {KeyboardEvent} event
 * @returns {boolean}
 */
export function isCharacter({ key, ctrlKey, metaKey, altKey }) {
  return [...key].length === 1 && (!(ctrlKey || metaKey || altKey) || (ctrlKey && altKey)); // both together: AltGr
}

/** @param {KeyboardEvent} event */
function character(event) {
  if (event.repeat) return; // scanners release each key
  const input = writableOf(event);
  if (input?.matches(OWN)) return;
  const isElsewhere = (written?.input ?? null) !== input; // a key has moved the focus, as / does
  if (!follows(event) || isElsewhere) {
    endBurst();
    if (!input && event.timeStamp < restUntil) ignoreRest(event);
    else begin(event, input);
    return;
  }
  held = null;
  strokes.push(event);
  if (!input || input.tagName === "SELECT") consume(event);
  wait(pauseMs() * BURST_PAUSES);
}

/**
 * @param {KeyboardEvent} event
 * @param {Writable | null} input
 */
function begin(event, input) {
  strokes = [event];
  written = input && { input, value: input.value };
  waits = 0;
  isDown = true;
  wait(pauseMs());
  if (lookedUp === null || input) return;
  const code = lookedUp;
  consume(event);
  held = () => tell.refused(code);
}

/** @param {KeyboardEvent} event a character of a code whose beginning has been handled */
function ignoreRest(event) {
  consume(event);
  restUntil = event.timeStamp + REST_MS;
  endedAt = event.timeStamp;
}

/** @param {KeyboardEvent} event */
function suffix(event) {
  if (event.repeat) return;
  if (follows(event) && !(written && (isSearch(written) || isTyped(event)))) {
    consume(event);
    endScan();
  } else if (strokes.length === 0 && event.timeStamp - endedAt < SUFFIX_MS) {
    consume(event);
    endedAt = -Infinity;
  } else actAlone();
}

/**
 * @param {{input: Writable, value: string}} before
 * @returns {boolean} whether a code was scanned into an empty search field, which looks it up by itself
 */
function isSearch({ input, value }) {
  return input.type === "search" && value === "";
}

/**
 * @param {KeyboardEvent} end
 * @returns {boolean} whether a person wrote this into an input
 */
function isTyped(end) {
  return strokes.length < SHORTEST_CODE || (end.timeStamp - strokes[0].timeStamp) / strokes.length > TYPED_MS;
}

/** @returns {number} the longest pause between two keys of this workstation's scanner */
function pauseMs() {
  const wanted = Number(text("scanPause")) || 0;
  return Math.max(SHORTEST_PAUSE_MS, Math.min(wanted, LONGEST_PAUSE_MS));
}

/**
 * @param {KeyboardEvent} event
 * @returns {boolean} whether it came too soon after the last character for a person
 */
function follows(event) {
  const last = strokes.at(-1);
  return last !== undefined && event.timeStamp - last.timeStamp < pauseMs() * BURST_PAUSES;
}

/** @param {number} ms */
function wait(ms) {
  clearTimeout(timer);
  const due = performance.now() + ms;
  timer = setTimeout(() => {
    // Keys that were pressed while the page was busy come before anything acts.
    const wasBusy = performance.now() - due > LATE_MS;
    const isHeld = strokes.length === 1 && isDown;
    if (++waits > MOST_WAITS || !(wasBusy || isHeld)) endBurst();
    else wait(wasBusy ? ms : RELEASED_MS);
  }, ms);
}

/** Ends a burst after a pause: a single key acts, a long burst is a code, and others are ignored. */
function endBurst() {
  if (strokes.length > 1) restUntil = performance.now() + REST_MS;
  if (strokes.length === 1) actAlone();
  else if (strokes.length >= SHORTEST_CODE && !written) endScan();
  else {
    const keys = strokes.map(({ key }) => key);
    const isTyped = written !== null;
    forget();
    if (keys.length === 0 || isTyped) return;
    endedAt = performance.now();
    tell.ignored(keys);
  }
}

function actAlone() {
  if (strokes.length > 1 && !written) return; // a burst goes on: its end decides
  const act = held;
  forget();
  act?.();
}

function forget() {
  clearTimeout(timer);
  strokes = [];
  held = written = null;
}

async function endScan() {
  const code = strokes.map(({ key }) => key).join("").slice(0, LONGEST_CODE);
  if (written) restore(written);
  forget();
  endedAt = performance.now();
  lookedUp = code;
  await tell.scanned(code);
  if (lookedUp === code) lookedUp = null;
}

/** @param {{input: Writable, value: string}} before */
function restore({ input, value }) {
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  if (input.tagName === "SELECT") input.dispatchEvent(new Event("change", { bubbles: true }));
}

/**
 * @param {KeyboardEvent} event
 * @returns {Writable | null} the input that a character of this event is written into
 */
function writableOf({ target }) {
  const found = target instanceof Element ? target.closest("input:not([type=checkbox]), textarea, select") : null;
  return /** @type {Writable | null} */ (found);
}

/** @param {KeyboardEvent} event */
function consume(event) {
  consumed.add(event.key);
  swallow(event);
}

/** @param {KeyboardEvent} event */
function swallow(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}
