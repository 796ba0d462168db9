// Remembers what was hidden in this browser: failed imports, and files that are not imported. What changes is shown again.

/** @import {Import} from "../server/types.js" */

const KEY = "review.importsPutAside";
const KEPT = 500; // the oldest are forgotten, and shown again

/**
 * @param {Import} run
 * @returns {boolean}
 */
export function isDismissed(run) {
  return run.State === "FAILED" && isTextDismissed(markOf(run));
}

/** @param {Import} run */
export function dismiss(run) {
  dismissText(markOf(run));
}

/**
 * @param {string} text
 * @returns {boolean}
 */
export function isTextDismissed(text) {
  return kept().includes(text);
}

/** @param {string} text in one line */
export function dismissText(text) {
  localStorage.setItem(KEY, [...kept(), text].slice(-KEPT).join("\n"));
}

/** @returns {string[]} */
function kept() {
  return localStorage.getItem(KEY)?.split("\n") ?? [];
}

/** @param {Import} run */
function markOf({ Filename, StartedAt }) {
  return `${StartedAt} ${Filename}`;
}
