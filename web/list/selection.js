// Which rows are chosen: the one the keys act on, and those that are ticked.
import { listing, onListing } from "./results.js";

/** @type {string | null} */
let current = null;
/** @type {Set<string>} */
let ticked = new Set();
let anchor = ""; // where a range of ticks begins
let place = 0; // where the current row was, should it go
/** @type {(() => void)[]} */
const listeners = [];

/** @param {() => void} listener */
export function onSelection(listener) {
  listeners.push(listener);
}

/** @returns {string | null} the slide that keys act on where none is ticked */
export function currentId() {
  return current;
}

/** @returns {ReadonlySet<string>} */
export function tickedIds() {
  return ticked;
}

/** @returns {string[]} what an action is about, in the order of the list */
export function chosenIds() {
  return ticked.size > 0 ? listing().ids.filter((id) => ticked.has(id)) : current === null ? [] : [current];
}

/** @param {string | null} id */
export function setCurrent(id) {
  if (id === current) return;
  current = id;
  place = Math.max(0, listing().ids.indexOf(id ?? ""));
  changed();
}

/**
 * @param {number} by how many rows
 * @returns {string | null} the new current row, which is the old one at the end of the list
 */
export function step(by) {
  const { ids } = listing();
  if (ids.length === 0) return null;
  const at = current === null ? -1 : ids.indexOf(current);
  setCurrent(ids[at < 0 ? (by > 0 ? 0 : ids.length - 1) : Math.min(Math.max(at + by, 0), ids.length - 1)]);
  return current;
}

/**
 * @param {string} id
 * @param {boolean} [isTicked] by default the opposite of what it is
 */
export function tick(id, isTicked = !ticked.has(id)) {
  if (isTicked) ticked.add(id);
  else ticked.delete(id);
  anchor = id;
  changed();
}

/**
 * Ticks everything from the last tick to here.
 * @param {string} id
 */
export function tickRange(id) {
  const { ids } = listing();
  const from = Math.max(0, ids.indexOf(anchor || current || id));
  const to = ids.indexOf(id);
  for (const one of ids.slice(Math.min(from, to), Math.max(from, to) + 1)) ticked.add(one);
  anchor = ids[from];
  changed();
}

export function tickAll() {
  ticked = new Set(listing().ids);
  changed();
}

export function tickNone() {
  if (ticked.size === 0) return;
  ticked = new Set();
  anchor = "";
  changed();
}

function changed() {
  for (const listener of listeners) listener();
}

onListing(() => {
  const { ids } = listing();
  const there = new Set(ids);
  ticked = new Set([...ticked].filter((id) => there.has(id)));
  // When the current row goes, its neighbour takes its place: the next key must not fall into the void.
  if (current !== null && !there.has(current)) current = ids[Math.min(place, ids.length - 1)] ?? null;
  place = Math.max(0, ids.indexOf(current ?? ""));
  changed();
});
