// Requests the cookies that give access to images: before the first image is shown, and again at half of their life.
import { RefusedError, SessionExpiredError, UnreachableError } from "../shared/failures.js";
import { request } from "./request.js";

const RETRY_MS = 10_000;

let renewAt = Infinity; // on one machine images need no cookies
let timer = 0;
/** @type {Promise<void> | null} */
let pending = null;

document.addEventListener("visibilitychange", () => document.hidden || imagesAreOpen());

/** @returns {Promise<void>} rejects with RefusedError, UnreachableError or SessionExpiredError */
export function openImages() {
  pending ??= requestCookies().finally(() => (pending = null));
  return pending;
}

/** @returns {Promise<void>} when the cookies are valid */
export async function imagesAreOpen() {
  if (Date.now() >= renewAt) await openImages().catch(() => {}); // timers stop while the machine sleeps
}

export async function closeImages() {
  clearTimeout(timer);
  renewAt = Infinity;
  await request("/session", { method: "DELETE" }).catch(() => {}); // they expire within the hour anyway
}

async function requestCookies() {
  const response = await request("/session", { method: "POST" });
  if (response.status === 401) throw new SessionExpiredError(`status ${response.status}`);
  const answer = await response.json().catch(() => ({}));
  if (response.status === 403) throw new RefusedError(answer.error ?? "You do not have permission to view slides.", "Unauthorized");
  if (!response.ok) throw new UnreachableError(`status ${response.status}`);
  const half = (answer.seconds * 1000) / 2;
  renewAt = Date.now() + half;
  renewAfter(half);
}

/** @param {number} ms */
function renewAfter(ms) {
  clearTimeout(timer);
  timer = setTimeout(() => openImages().catch((error) => error instanceof SessionExpiredError || renewAfter(RETRY_MS)), ms);
}
