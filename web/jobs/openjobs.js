// The open jobs of slides, waiting or failed. The server sends each change of a job; without a connection the page polls.
import { getSlides, listOpenJobs } from "../server/api.js";
import { debounced } from "../shared/element.js";
import { RefusedError } from "../shared/failures.js";
import { watched } from "../shared/health.js";
import { knownSlide, storeSlides } from "../slide/knownslides.js";

/** @import {Job, JobKind, Page, Slide} from "../server/types.js" */

const PAUSE_MS = 200;

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

/** @type {Map<string, Job>} also ended ones: an answer that was overtaken by a change must not bring them back */
let known = new Map();
/** @type {Set<string>} the jobs that were received since the last request for all of them */
let received = new Set();
/** @type {Set<string>} the slides to fetch: of ended jobs, whose fields changed, and of jobs whose slides are not known */
let incomplete = new Set();
let isMore = false;
let asked = 0; // counts requests: the answer to an earlier one is discarded
/** @type {(() => void)[]} */
const listeners = [];

/** @param {() => void} listener called after each change */
export function onJobs(listener) {
  listeners.push(listener);
}

/** @returns {Job[]} waiting jobs, and failed ones that still matter; the failed ones first */
export function openJobs() {
  const open = [...known.values()].filter(isOpen);
  return open.sort((a, b) => Number(b.State === "FAILED") - Number(a.State === "FAILED"));
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

/** @param {Job} job as a mutation returned it, or as the server sent it */
export function recordJob(job) {
  const key = keyOf(job);
  const before = known.get(key);
  if (before && before.UpdatedAt > job.UpdatedAt) return;
  known.set(key, job);
  received.add(key);
  if (job.State === "DONE" || !knownSlide(job.ImageID)) {
    incomplete.add(job.ImageID);
    completeLater();
  }
  changed();
}

export async function refreshJobs() {
  const mine = ++asked;
  received = new Set();
  const { items, nextToken } = await watched(listOpenJobs()).catch(emptyIfForbidden);
  if (mine !== asked) return;
  const now = new Map(items.map((job) => [keyOf(job), job]));
  const ended = openJobs().flatMap((job) => (now.has(keyOf(job)) ? [] : job.ImageID));
  const unknown = items.flatMap(({ ImageID }) => (knownSlide(ImageID) ? [] : ImageID));
  for (const key of received) keepNewer(now, key);
  known = now;
  isMore = nextToken !== null;
  const wanted = [...new Set([...ended, ...unknown])];
  if (wanted.length > 0) storeSlides(await watched(getSlides(wanted)));
  changed();
}

/**
 * @param {Map<string, Job>} now
 * @param {string} key of a job that was received while all were requested
 */
function keepNewer(now, key) {
  const job = known.get(key);
  if (job && job.UpdatedAt >= (now.get(key)?.UpdatedAt ?? "")) now.set(key, job);
}

const completeLater = debounced(PAUSE_MS, async () => {
  const ids = [...incomplete];
  incomplete = new Set();
  storeSlides(await watched(getSlides(ids)).catch(() => [])); // the next refresh fetches them
  changed();
});

/** @param {Job} job */
function isOpen(job) {
  const slide = knownSlide(job.ImageID);
  return job.State === "WAITING" || (job.State === "FAILED" && (!slide || MATTERS[job.Kind](slide)));
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
}
