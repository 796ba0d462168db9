// The state of the connection to the server. All requests of list and viewer go through `watched`.
import { SessionExpiredError, UnreachableError } from "./failures.js";

/** @typedef {"connecting" | "live" | "polling" | "gone" | "over"} Health */

/** @type {((health: Health, since: Date | null) => void)[]} */
const listeners = [];
/** @type {Date | null} */
let answered = null;
let live = false;
/** @type {Health} */
let health = "connecting";

/** @param {(health: Health, since: Date | null) => void} listener called on each change, with the time of the last answer */
export function onHealth(listener) {
  listeners.push(listener);
}

/** @returns {Health} */
export function currentHealth() {
  return health;
}

/** @param {boolean} isLive whether live updates arrive */
export function setLive(isLive) {
  live = isLive;
  if (health === "live" || health === "polling") become(live ? "live" : "polling");
}

/** Reports that the server does not answer, for requests outside `watched`. */
export function setUnreachable() {
  become("gone");
}

/**
 * @template T
 * @param {Promise<T>} request
 * @returns {Promise<T>} the same; its outcome updates the state
 */
export async function watched(request) {
  try {
    const answer = await request;
    wellAnswered();
    return answer;
  } catch (error) {
    if (error instanceof UnreachableError) become("gone");
    else if (error instanceof SessionExpiredError) become("over");
    else wellAnswered(); // a refusal is an answer, too
    throw error;
  }
}

function wellAnswered() {
  answered = new Date();
  become(live ? "live" : "polling");
}

/** @param {Health} next */
function become(next) {
  if (health === next || health === "over") return; // an expired session stays expired until the page is reloaded
  health = next;
  for (const listener of listeners) listener(health, answered);
}
