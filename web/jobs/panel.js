// The panel of jobs: how many are in progress, and each that has failed, waits with a reason, or takes long.
import { mayChange, mayDelete } from "../login/currentuser.js";
import { button, byId, element, setText } from "../shared/element.js";
import { jobText } from "../slide/activity.js";
import { nameOf } from "../slide/display.js";
import { knownSlide, onSlide } from "../slide/knownslides.js";
import { statusPill } from "../slide/statuses.js";
import { areMoreJobs, onJobs, openJobs } from "./openjobs.js";
import { dismissFailed, retryJobs } from "./requests.js";

/** @import {Job} from "../server/types.js" */
/** @typedef {{item: HTMLLIElement, show: (job: Job) => void}} Entry */

/** @type {Map<string, Entry>} */
let entries = new Map();
const all = button("Try all again", tryAll, { className: "retry" });

export function startJobPanel() {
  byId("jobs-head").append(all);
  onJobs(show);
  onSlide(({ ImageID }) => openJobs().some((job) => job.ImageID === ImageID) && show());
}

function show() {
  const jobs = openJobs();
  const failed = jobs.filter(({ State }) => State === "FAILED");
  const named = [...failed, ...jobs.filter(({ State, Error, ExpectedAt }) => State === "WAITING" && (Error || ExpectedAt))];
  const before = entries;
  entries = new Map(named.map((job) => [keyOf(job), before.get(keyOf(job)) ?? makeEntry()]));
  for (const job of named) entries.get(keyOf(job))?.show(job);
  showList([...entries.values()].map(({ item }) => item));
  const more = areMoreJobs() ? "+" : "";
  const going = jobs.length - failed.length;
  const parts = [going > 0 && `${going}${more} in progress`, failed.length > 0 && `${failed.length}${more} failed`];
  byId("jobs").hidden = jobs.length === 0;
  byId("job-list").hidden = named.length === 0;
  setText(byId("jobs-title"), `Jobs: ${parts.filter(Boolean).join(", ")}`);
  all.hidden = failed.filter(mayTry).length < 2;
}

/** @param {HTMLLIElement[]} items */
function showList(items) {
  const list = byId("job-list");
  const wanted = new Set(items);
  for (const old of [...list.children]) if (!wanted.has(/** @type {HTMLLIElement} */ (old))) old.remove();
  // Items that stay in place are not touched: they keep their focus.
  items.forEach((item, at) => list.children[at] === item || list.insertBefore(item, list.children[at] ?? null));
}

/** @returns {Entry} */
function makeEntry() {
  const state = element("span", { className: "state" });
  const name = element("b");
  const about = element("span", { className: "about" });
  const retry = button("Try again", () => {}, { className: "retry" });
  const hide = button("Dismiss", () => {}, { className: "retry", title: "Remove it from this list for everyone; the job's record stays" });
  const item = element("li", {}, state, name, about, retry, hide);
  /** @type {Job} */
  let shown;
  retry.addEventListener("click", () => tryAgain([shown], retry));
  hide.addEventListener("click", () => dismiss(shown, hide));
  return {
    item,
    show(job) {
      shown = job;
      const isFailed = job.State === "FAILED";
      item.className = isFailed ? "failed" : "";
      if (state.firstElementChild?.textContent !== wordFor(job)) state.replaceChildren(statusPill(isFailed ? "FAILED" : "IMPORTING", wordFor(job)));
      setText(name, nameOf(knownSlide(job.ImageID) ?? { SlideID: null, ImageID: job.ImageID }));
      setText(about, jobText(job));
      retry.hidden = hide.hidden = !isFailed || !mayTry(job);
      retry.ariaLabel = `Try again: ${name.textContent}`;
      hide.ariaLabel = `Dismiss: ${jobText(job)} (${name.textContent})`;
    },
  };
}

/** @param {Job} job */
function wordFor({ State }) {
  return State === "FAILED" ? "Failed" : "Waiting";
}

/** @param {Job} job */
function keyOf({ Kind, ImageID }) {
  return `${Kind}.${ImageID}`;
}

/** @param {Job} job */
function mayTry({ Kind }) {
  if (Kind === "RENDER") return false; // requested by the daily check alone
  return Kind === "SEND" ? mayChange() : mayDelete();
}

function tryAll() {
  tryAgain(openJobs().filter((job) => job.State === "FAILED" && mayTry(job)), all);
}

/**
 * @param {Job} job
 * @param {HTMLButtonElement} pressed
 */
async function dismiss(job, pressed) {
  pressed.disabled = true;
  await dismissFailed(job);
  pressed.disabled = false;
  if (!pressed.isConnected) byId("job-list").focus(); // the focused button was removed
}

/**
 * @param {Job[]} jobs
 * @param {HTMLButtonElement} pressed
 */
async function tryAgain(jobs, pressed) {
  pressed.disabled = true;
  await retryJobs(jobs, jobs.flatMap(({ ImageID }) => knownSlide(ImageID) ?? []));
  pressed.disabled = false;
}
