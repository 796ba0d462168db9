// What goes on with slides, and what of it has failed: asked for while there is any.
import { getSlides, listOpenJobs } from "../server/api.js";
import { debounced } from "../shared/element.js";
import { RefusedError } from "../shared/failures.js";
import { currentHealth, watched } from "../shared/health.js";
import { knownSlide, onSlide, storeSlides } from "../slide/knownslides.js";

/** @import {Job, JobKind, Page, Slide} from "../server/types.js" */

const SOON_MS = 1000;
const OFTEN_MS = 5000;
const SELDOM_MS = 60_000;

/** @type {Record<JobKind, (slide: Slide) => boolean>} whether the slide is still such that a failed job of that kind matters */
const MATTERS = {
  PUBLISH: ({ Status, PublishedAs }) => Status !== "DELETED" && PublishedAs === null,
  WITHDRAW: ({ PublishedAs }) => PublishedAs !== null,
  ARCHIVE: ({ Status, Original }) => Status !== "DELETED" && [null, "ARCHIVING"].includes(Original),
  RESTORE: ({ Original }) => ["ARCHIVED", "RESTORING"].includes(Original ?? ""),
  PURGE: ({ Status, Original }) => Status === "DELETED" && Original !== "PURGED",
  SEND: ({ Status, Delivery }) => Status !== "DELETED" && ["WAITING", "FAILED"].includes(Delivery ?? ""),
};

/** @type {Map<string, Job>} */
let known = new Map();
let isMore = false;
let asked = 0; // counts questions: an answer to an earlier one is thrown away
let timer = 0;
/** @type {(() => void)[]} */
const listeners = [];

/** @param {() => void} listener told when anything about them has changed */
export function onJobs(listener) {
  listeners.push(listener);
}

/** @returns {Job[]} those that wait, and those that have failed and matter; the failed ones first */
export function openJobs() {
  return [...known.values()].filter(isOpen);
}

/** @returns {boolean} whether there are more than are known here */
export function areMoreJobs() {
  return isMore;
}

/**
 * @param {string} id
 * @returns {Job[]} what is open for one slide
 */
export function jobsOf(id) {
  return Object.keys(MATTERS).flatMap((kind) => known.get(`${kind}.${id}`) ?? []).filter(isOpen);
}

/** @param {Job} job as a mutation has answered it */
export function recordJob(job) {
  asked += 1;
  if (job.State === "DONE") known.delete(keyOf(job));
  else known.set(keyOf(job), job);
  changed();
  askSoon();
}

export async function refreshJobs() {
  const mine = ++asked;
  const { items, nextToken } = await watched(listOpenJobs()).catch(emptyIfForbidden);
  if (mine !== asked) return;
  const now = new Map(items.map((job) => [keyOf(job), job]));
  const ended = [...known].flatMap(([key, { ImageID }]) => (now.has(key) ? [] : ImageID));
  const unknown = items.flatMap(({ ImageID }) => (knownSlide(ImageID) ? [] : ImageID));
  known = now;
  isMore = nextToken !== null;
  const wanted = [...new Set([...ended, ...unknown])];
  if (wanted.length > 0) storeSlides(await watched(getSlides(wanted)));
  changed();
}

const askSoon = debounced(SOON_MS, () => refreshJobs().catch(() => {}));

/** What waits is looked at often, what is expected at a certain time seldom. */
function askLater() {
  clearTimeout(timer);
  if (known.size === 0 || currentHealth() === "over") return;
  const isSoon = [...known.values()].some(({ State, ExpectedAt }) => State === "WAITING" && ExpectedAt === null);
  timer = setTimeout(() => (document.hidden ? askLater() : refreshJobs().catch(askLater)), isSoon ? OFTEN_MS : SELDOM_MS);
}

/** @param {Job} job */
function isOpen(job) {
  const slide = knownSlide(job.ImageID);
  return job.State === "WAITING" || !slide || MATTERS[job.Kind](slide);
}

/** @param {Pick<Job, "Kind" | "ImageID">} job */
function keyOf({ Kind, ImageID }) {
  return `${Kind}.${ImageID}`;
}

/**
 * @param {unknown} error
 * @returns {Page<Job>} nothing for who only reads slides
 */
function emptyIfForbidden(error) {
  if (error instanceof RefusedError && error.isForbidden) return { items: [], nextToken: null };
  throw error;
}

function changed() {
  for (const listener of listeners) listener();
  askLater();
}

// A step that was made is seen at the slide first; what has begun elsewhere, too.
onSlide(({ ImageID, Original, Delivery }) => {
  const isBusy = ["ARCHIVING", "RESTORING"].includes(Original ?? "") || ["WAITING", "FAILED"].includes(Delivery ?? "");
  if (isBusy || jobsOf(ImageID).length > 0) askSoon();
});
