// The current row, which the keys act on, and the selected rows.
import { onResults, results } from "./results.js";

/** @type {string | null} */
let current = null;
/** @type {Set<string>} */
let selected = new Set();
let anchor = ""; // where a range selection begins
let place = 0; // the index of the current row, for when it is removed
/** @type {(() => void)[]} */
const listeners = [];

/** @param {() => void} listener */
export function onSelection(listener) {
  listeners.push(listener);
}

/** @returns {string | null} the slide that the keys act on where none is selected */
export function currentId() {
  return current;
}

/** @returns {ReadonlySet<string>} */
export function selectedIds() {
  return selected;
}

/** @returns {string[]} the slides that an action applies to, in the order of the list */
export function targetIds() {
  return selected.size > 0 ? results().ids.filter((id) => selected.has(id)) : current === null ? [] : [current];
}

/** @param {string | null} id */
export function setCurrent(id) {
  if (id === current) return;
  current = id;
  place = Math.max(0, results().ids.indexOf(id ?? ""));
  changed();
}

/**
 * @param {number} by how many rows
 * @returns {string | null} the new current row
 */
export function step(by) {
  const { ids } = results();
  if (ids.length === 0) return null;
  const at = current === null ? -1 : ids.indexOf(current);
  setCurrent(ids[at < 0 ? (by > 0 ? 0 : ids.length - 1) : Math.min(Math.max(at + by, 0), ids.length - 1)]);
  return current;
}

/**
 * @param {string} id
 * @param {boolean} [isSelected] by default, toggles
 */
export function select(id, isSelected = !selected.has(id)) {
  if (isSelected) selected.add(id);
  else selected.delete(id);
  anchor = id;
  changed();
}

/**
 * Selects all slides from the last selected one to this one.
 * @param {string} id
 */
export function selectRange(id) {
  const { ids } = results();
  const from = Math.max(0, ids.indexOf(anchor || current || id));
  const to = ids.indexOf(id);
  for (const one of ids.slice(Math.min(from, to), Math.max(from, to) + 1)) selected.add(one);
  anchor = ids[from];
  changed();
}

export function selectAll() {
  selected = new Set(results().ids);
  changed();
}

export function clearSelection() {
  if (selected.size === 0) return;
  selected = new Set();
  anchor = "";
  changed();
}

function changed() {
  for (const listener of listeners) listener();
}

onResults(() => {
  const { ids } = results();
  const there = new Set(ids);
  selected = new Set([...selected].filter((id) => there.has(id)));
  // When the current row is removed, its neighbour becomes current, so that the next key has a target.
  if (current !== null && !there.has(current)) current = ids[Math.min(place, ids.length - 1)] ?? null;
  place = Math.max(0, ids.indexOf(current ?? ""));
  changed();
});
