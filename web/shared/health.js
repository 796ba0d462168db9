// How the server is doing, as far as this page can tell. Whoever asks the server does it through `watched`.
import { SessionExpiredError, UnreachableError } from "./failures.js";

/** @typedef {"connecting" | "live" | "polling" | "gone" | "over"} Health */

/** @type {((health: Health, since: Date | null) => void)[]} */
const listeners = [];
/** @type {Date | null} */
let answered = null;
let live = false;
/** @type {Health} */
let health = "connecting";

/** @param {(health: Health, since: Date | null) => void} listener told of every change, and when the server last answered */
export function onHealth(listener) {
  listeners.push(listener);
}

/** @returns {Health} */
export function currentHealth() {
  return health;
}

/** @param {boolean} isLive whether changes from others arrive by themselves */
export function setLive(isLive) {
  live = isLive;
  if (health === "live" || health === "polling") become(live ? "live" : "polling");
}

/** The server does not answer: found out by something that is no request of the list or viewer. */
export function setUnreachable() {
  become("gone");
}

/**
 * @template T
 * @param {Promise<T>} request
 * @returns {Promise<T>} the same; how it ends is noted
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
  if (health === next || health === "over") return; // a session that is over stays over: the page has to be loaded anew
  health = next;
  for (const listener of listeners) listener(health, answered);
}
