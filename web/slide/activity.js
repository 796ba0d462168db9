// Describes a slide's jobs, archiving, publishing and delivery in words.
import { dayOf, momentOf } from "../shared/format.js";

/** @import {Job, JobKind, LevelDamage, Slide} from "../server/types.js" */
/** @typedef {{text: string, isTrouble: boolean}} Line */

/** @type {Record<JobKind, (job: Job) => string>} */
const UNDER_WAY = {
  PUBLISH: ({ Name }) => `Publishing as ${Name}`,
  WITHDRAW: () => "Withdrawing",
  ARCHIVE: () => "Archiving",
  RESTORE: ({ ExpectedAt }) => (ExpectedAt ? `Unarchiving, expected ${momentOf(ExpectedAt)}` : "Unarchiving"),
  PURGE: () => "Purging",
  SEND: () => "Waiting for the registry",
  RENDER: () => "Rendering again",
};
/** @type {Record<JobKind, string>} */
const FAILED = {
  PUBLISH: "Publishing failed",
  WITHDRAW: "Withdrawing failed",
  ARCHIVE: "Archiving failed",
  RESTORE: "Unarchiving failed",
  PURGE: "Purging failed",
  SEND: "Sending failed",
  RENDER: "Rendering failed",
};
/** @type {Record<string, string>} */
const ORIGINALS = { ARCHIVING: "Archiving", ARCHIVED: "Original archived", RESTORING: "Unarchiving", PURGED: "Files permanently deleted" };
/** @type {Record<string, string>} */
const DELIVERIES = { WAITING: UNDER_WAY.SEND(/** @type {any} */ ({})), FAILED: FAILED.SEND };

/**
 * @param {Slide} slide
 * @param {Job[]} jobs its open jobs
 * @returns {Line[]} failures first; empty for a slide without activity
 */
export function activityOf(slide, jobs) {
  const jobLines = jobs.map((job) => ({ text: jobText(job), isTrouble: job.State === "FAILED" }));
  const kinds = jobs.map(({ Kind }) => Kind);
  const lines = [...jobLines, ...recordLines(slide).filter(({ about }) => !about.some((kind) => kinds.includes(kind)))];
  return lines.map(({ text, isTrouble }) => ({ text, isTrouble })).sort((a, b) => Number(b.isTrouble) - Number(a.isTrouble));
}

/**
 * @param {Job} job
 * @returns {string}
 */
export function jobText(job) {
  if (job.State === "FAILED") return `${FAILED[job.Kind]}: ${job.Error ?? "no reason given"}`;
  return [UNDER_WAY[job.Kind](job), job.Error].filter(Boolean).join(": ");
}

/** @param {LevelDamage[]} levels */
function damageText(levels) {
  const tiles = levels.reduce((sum, level) => sum + level.tiles, 0);
  return tiles === 1 ? "1 tile is damaged" : `${tiles} tiles are damaged`;
}

/**
 * @param {Slide} slide
 * @returns {(Line & {about: JobKind[]})[]} from the slide's record; `about` names the jobs that replace a line
 */
function recordLines({ Status, Original, Delivery, PublishedAs, GoesAt, Damage }) {
  const isPlain = Original === "ARCHIVED" && Status === "ARCHIVED"; // shown by its status
  /** @type {(Line & {about: JobKind[]} | false)[]} */
  const lines = [
    Status === "DELETED" && GoesAt !== null && { text: `Will be deleted on ${dayOf(GoesAt)}`, isTrouble: false, about: ["PURGE"] },
    Original !== null && !isPlain && { text: ORIGINALS[Original] ?? Original, isTrouble: false, about: ["ARCHIVE", "RESTORE"] },
    PublishedAs !== null && { text: Status === "PUBLISHED" ? `as ${PublishedAs}` : `Published as ${PublishedAs}`, isTrouble: false, about: ["WITHDRAW"] },
    Boolean(Damage) && { text: damageText(Damage ?? []), isTrouble: true, about: [] },
    Delivery !== null && Delivery in DELIVERIES && { text: DELIVERIES[Delivery], isTrouble: Delivery === "FAILED", about: ["SEND"] },
  ];
  return lines.filter((line) => line !== false);
}
