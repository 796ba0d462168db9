// Requests jobs for slides (publish, withdraw, archive, unarchive, purge), for Admins. Each runs in the background.
import { listed, mark, notifyFailed } from "../editing/commands.js";
import { dismissJob, requestJob } from "../server/api.js";
import { confirmed } from "../shared/dialog.js";
import { element } from "../shared/element.js";
import { SessionExpiredError, UnreachableError } from "../shared/failures.js";
import { askEach } from "../shared/form.js";
import { counted } from "../shared/format.js";
import { watched } from "../shared/health.js";
import { notify, notifyFailure } from "../shared/notices.js";
import { nameOf } from "../slide/display.js";
import { withStatusNames } from "../slide/statuses.js";
import { recordJob } from "./openjobs.js";

/** @import {Job, JobKind, Slide} from "../server/types.js" */
/** @import {Item} from "../shared/menu.js" */
/** @typedef {Exclude<JobKind, "SEND" | "RENDER">} Asked */

/** @type {Record<Asked, string>} */
const DONE = { PUBLISH: "published", WITHDRAW: "withdrawn", ARCHIVE: "archived", RESTORE: "unarchived", PURGE: "purged" };
const REVIEWED = ["NEW", "GOOD", "BAD", "SENT", "PUBLISHED"];

/** @type {{text: string, fits: (slide: Slide) => boolean, act: (slides: Slide[]) => void, isDangerous?: boolean}[]} */
const ACTS = [
  { text: "Publish …", fits: ({ Status, Original, PublishedAs }) => ["GOOD", "SENT"].includes(Status ?? "") && Original === null && PublishedAs === null, act: publish },
  { text: "Withdraw …", fits: ({ PublishedAs }) => PublishedAs !== null, act: withdraw, isDangerous: true },
  { text: "Archive …", fits: ({ Status, Original }) => REVIEWED.includes(Status ?? "") && Original === null, act: archive },
  { text: "Unarchive", fits: ({ Original }) => Original === "ARCHIVED", act: (slides) => requestAll("RESTORE", slides) },
  { text: "Undelete", fits: isDeleted, act: (slides) => mark(slides, "NEW") },
  { text: "Purge …", fits: isDeleted, act: purge, isDangerous: true },
];

/**
 * @param {Slide[]} slides
 * @returns {Item[]} the actions that apply to at least some of the slides
 */
export function lifecycleItems(slides) {
  return ACTS.flatMap(({ text, fits, act, isDangerous }) => {
    const fitting = slides.filter(fits);
    const count = slides.length > 1 ? ` (${fitting.length})` : "";
    return fitting.length > 0 ? [{ text: `${text}${count}`, act: () => act(fitting), isDangerous }] : [];
  });
}

/**
 * @param {Job[]} jobs that have failed
 * @param {Slide[]} slides the slides of the jobs, as far as they are known
 */
export async function retryJobs(jobs, slides) {
  const sent = new Set(jobs.flatMap(({ Kind, ImageID }) => (Kind === "SEND" ? ImageID : [])));
  const purged = new Set(jobs.flatMap(({ Kind, ImageID }) => (Kind === "PURGE" ? ImageID : [])));
  await mark(slides.filter(({ ImageID }) => sent.has(ImageID)), "SENT");
  for (const { Kind, ImageID, Name } of jobs) {
    if (Kind === "SEND" || Kind === "PURGE" || Kind === "RENDER") continue;
    const why = await problemAsking(Kind, ImageID, Name ?? undefined);
    if (why !== null) notifyFailure(`${ImageID} could not be retried: ${why}`);
  }
  const open = slides.filter(({ ImageID }) => purged.has(ImageID));
  if (open.length > 0) await purge(open); // asks for the ImageID again
}

/** @param {Job} job that has failed */
export async function dismissFailed({ Kind, ImageID }) {
  try {
    recordJob(await watched(dismissJob(Kind, ImageID)));
  } catch (error) {
    if (!(error instanceof SessionExpiredError)) notifyFailure(`The job could not be dismissed: ${error instanceof Error ? error.message : error}`);
  }
}

/** @param {Slide} slide */
function isDeleted({ Status, Original }) {
  return Status === "DELETED" && Original !== "PURGED";
}

/** @param {Slide[]} slides */
function publish(slides) {
  const notes = [
    "This creates a copy without patient data: without label and overview, and without anything that names the patient, the case or this laboratory. Everyone can see the copy under its new name; the slide itself is unchanged.",
    "A name can be used only once, even after the copy is withdrawn.",
  ];
  return askEach(
    slides.length === 1 ? `Publish ${nameOf(slides[0])}` : `Publish ${counted(slides.length, "slide")}`,
    notes.map((text) => element("p", {}, text)),
    slides.map((slide) => ({ label: `Name of the copy of ${nameOf(slide)}, such as STUDY-7`, save: (name) => problemAsking("PUBLISH", slide.ImageID, name) })),
    { text: "Publish", className: "primary" },
  );
}

/** @param {Slide[]} slides */
async function withdraw(slides) {
  const note = "The published copy is hidden from everyone, and its files are permanently deleted. Its name cannot be used again.";
  if (await confirmed(question("Withdraw", slides), [listed(slides), element("p", {}, note)], "Withdraw")) await requestAll("WITHDRAW", slides);
}

/** @param {Slide[]} slides */
async function archive(slides) {
  const note = "The original moves to the archive. The slide stays viewable at full resolution; unarchiving the original may take hours.";
  if (await confirmed(question("Archive", slides), [listed(slides), element("p", {}, note)], "Archive", "primary")) await requestAll("ARCHIVE", slides);
}

/** @param {Slide[]} slides */
function purge(slides) {
  const note = "All files of a purged slide are permanently deleted now, here and in the archive. This cannot be undone.";
  return askEach(
    question("Purge", slides),
    [element("p", {}, note)],
    slides.map((slide) => ({ label: `To purge ${nameOf(slide)}, type its image ID: ${slide.ImageID}`, save: (text) => problemAsking("PURGE", slide.ImageID, text) })),
    { text: "Purge", className: "danger" },
  );
}

/**
 * @param {string} verb
 * @param {Slide[]} slides
 */
function question(verb, slides) {
  return `${verb} ${slides.length === 1 ? "this slide" : counted(slides.length, "slide")}?`;
}

/**
 * Requests the jobs one after the other; a refusal does not stop the others.
 * @param {Asked} kind
 * @param {Slide[]} slides
 */
async function requestAll(kind, slides) {
  const taken = [];
  const failed = [];
  for (const slide of slides) {
    try {
      recordJob(await watched(requestJob(kind, slide.ImageID)));
      taken.push(slide);
    } catch (error) {
      if (error instanceof SessionExpiredError) return;
      if (error instanceof UnreachableError) {
        const left = slides.length - taken.length - failed.length;
        notifyFailure(`No connection: ${counted(left, "slide")} will not be ${DONE[kind]}.`);
        break;
      }
      failed.push({ slide, error: error instanceof Error ? error.message : String(error) });
    }
  }
  if (taken.length > 0) notify(`${taken.length === 1 ? nameOf(taken[0]) : counted(taken.length, "slide")} will be ${DONE[kind]}.`);
  notifyFailed(failed);
}

/**
 * @param {Asked} kind
 * @param {string} id
 * @param {string} [argument]
 * @returns {Promise<string | null>} the reason for a refusal, or null
 */
async function problemAsking(kind, id, argument) {
  try {
    recordJob(await watched(requestJob(kind, id, argument)));
    return null;
  } catch (error) {
    if (error instanceof SessionExpiredError) return "your session has expired";
    return error instanceof UnreachableError ? "no connection" : withStatusNames(error instanceof Error ? error.message : String(error));
  }
}
