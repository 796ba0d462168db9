// The cookies by which the images are opened: asked for before the first one is shown, renewed at half of their life.
import { RefusedError, SessionExpiredError, UnreachableError } from "../shared/failures.js";
import { request } from "./request.js";

const RETRY_MS = 10_000;

let renewAt = Infinity; // on one machine images are open
let timer = 0;
/** @type {Promise<void> | null} */
let pending = null;

document.addEventListener("visibilitychange", () => document.hidden || imagesAreOpen());

/** @returns {Promise<void>} rejects with Refused, ServerGone or SessionOver */
export function openImages() {
  pending ??= requestCookies().finally(() => (pending = null));
  return pending;
}

/** @returns {Promise<void>} when images can be opened, as far as this page can tell */
export async function imagesAreOpen() {
  if (Date.now() >= renewAt) await openImages().catch(() => {}); // a timer sleeps with the machine
}

export async function closeImages() {
  clearTimeout(timer);
  renewAt = Infinity;
  await request("/session", { method: "DELETE" }).catch(() => {}); // they end within the hour anyhow
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
