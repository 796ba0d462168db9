// Remembers the failed imports that were hidden in this browser. One that fails again is shown again.

/** @import {Import} from "../server/types.js" */

const KEY = "review.importsPutAside";
const KEPT = 500; // the oldest are forgotten, and shown again

/**
 * @param {Import} run
 * @returns {boolean}
 */
export function isDismissed(run) {
  return run.State === "FAILED" && kept().includes(markOf(run));
}

/** @param {Import} run */
export function dismiss(run) {
  localStorage.setItem(KEY, [...kept(), markOf(run)].slice(-KEPT).join("\n"));
}

/** @returns {string[]} */
function kept() {
  return localStorage.getItem(KEY)?.split("\n") ?? [];
}

/** @param {Import} run */
function markOf({ Filename, StartedAt }) {
  return `${StartedAt} ${Filename}`;
}
