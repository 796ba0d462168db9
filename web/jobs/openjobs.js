// The open jobs of slides, waiting or failed; polled while there are any.
import { getSlides, listOpenJobs } from "../server/api.js";
import { debounced } from "../shared/element.js";
import { RefusedError } from "../shared/failures.js";
import { currentHealth, watched } from "../shared/health.js";
import { knownSlide, onSlide, storeSlides } from "../slide/knownslides.js";

/** @import {Job, JobKind, Page, Slide} from "../server/types.js" */

const SOON_MS = 1000;
const OFTEN_MS = 5000;
const SELDOM_MS = 60_000;

/** @type {Record<JobKind, (slide: Slide) => boolean>} whether a failed job of that kind still matters for the slide */
const MATTERS = {
  PUBLISH: ({ Status, PublishedAs }) => Status !== "DELETED" && PublishedAs === null,
  WITHDRAW: ({ PublishedAs }) => PublishedAs !== null,
  ARCHIVE: ({ Status, Original }) => Status !== "DELETED" && [null, "ARCHIVING"].includes(Original),
  RESTORE: ({ Original }) => ["ARCHIVED", "RESTORING"].includes(Original ?? ""),
  PURGE: ({ Status, Original }) => Status === "DELETED" && Original !== "PURGED",
  RENDER: ({ Status }) => Status !== "DELETED",
  SEND: ({ Status, Delivery }) => Status !== "DELETED" && ["WAITING", "FAILED"].includes(Delivery ?? ""),
};

/** @type {Map<string, Job>} */
let known = new Map();
let isMore = false;
let asked = 0; // counts requests: the answer to an earlier one is discarded
let timer = 0;
/** @type {(() => void)[]} */
const listeners = [];

/** @param {() => void} listener called after each change */
export function onJobs(listener) {
  listeners.push(listener);
}

/** @returns {Job[]} waiting jobs, and failed ones that still matter; the failed ones first */
export function openJobs() {
  return [...known.values()].filter(isOpen);
}

/** @returns {boolean} whether the server has more than were loaded */
export function areMoreJobs() {
  return isMore;
}

/**
 * @param {string} id
 * @returns {Job[]} the open jobs of one slide
 */
export function jobsOf(id) {
  return Object.keys(MATTERS).flatMap((kind) => known.get(`${kind}.${id}`) ?? []).filter(isOpen);
}

/** @param {Job} job as a mutation returned it */
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

/** Polls often for waiting jobs, seldom for those expected at a certain time. */
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
 * @returns {Page<Job>} no jobs for users who may only view slides
 */
function emptyIfForbidden(error) {
  if (error instanceof RefusedError && error.isForbidden) return { items: [], nextToken: null };
  throw error;
}

function changed() {
  for (const listener of listeners) listener();
  askLater();
}

// Changes of a slide announce jobs that were requested elsewhere, and the end of known ones.
onSlide(({ ImageID, Original, Delivery }) => {
  const isBusy = ["ARCHIVING", "RESTORING"].includes(Original ?? "") || ["WAITING", "FAILED"].includes(Delivery ?? "");
  if (isBusy || jobsOf(ImageID).length > 0) askSoon();
});
