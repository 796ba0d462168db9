// The commands that change slides (mark, delete, undo), with a notice of the outcome.
import { confirmed } from "../shared/dialog.js";
import { element } from "../shared/element.js";
import { SessionExpiredError, UnreachableError } from "../shared/failures.js";
import { counted } from "../shared/format.js";
import { notify, notifyFailure } from "../shared/notices.js";
import { FIELD_NAMES, nameOf } from "../slide/display.js";
import { keyOf, statusName, withStatusNames } from "../slide/statuses.js";
import { change, isUnderWay, undo } from "./changes.js";

/** @import {Field, IDCandidate, Slide} from "../server/types.js" */
/** @import {Done, Failed, Outcome} from "./changes.js" */

const NAMED = 6; // how many slides a question or a notice lists by name

/** The slides whose unconfirmed ID the user has accepted. @type {Set<string>} */
const accepted = new Set();

/**
 * Asks once about each slide that is to be marked Good although its ID was not read from the label.
 * @param {Slide[]} slides
 * @param {string} status
 * @returns {Promise<boolean>} whether to mark the slides
 */
export async function isMeant(slides, status) {
  const open = slides.filter(({ ImageID, IDNotConfirmed }) => IDNotConfirmed && !accepted.has(ImageID));
  if (status !== "GOOD" || open.length === 0) return true;
  const title = open.length === 1 ? "Is this ID the one on the label?" : `Are these ${open.length} IDs the ones on the labels?`;
  const note = element("p", {}, "No barcode or name of the lab's form confirms it. Compare it with the label, or cancel and correct it (E).");
  const yes = await confirmed(title, [listed(open), note], "Mark Good", "primary");
  if (yes) for (const { ImageID } of open) accepted.add(ImageID);
  return yes;
}

/**
 * Says why a key does not mark slides that have not been looked at.
 * @param {Slide[]} unseen
 * @param {string} status
 */
export function notifyUnseen(unseen, status) {
  const which = unseen.length === 1 ? `${nameOf(unseen[0])} has` : `${counted(unseen.length, "slide")} have`;
  notify(`Not marked: ${which} not been shown yet. Shift+${keyOf(status)} or the button ${statusName(status)} marks without a look.`);
}

/**
 * @param {Slide[]} slides
 * @param {string} status
 */
export async function mark(slides, status) {
  const open = slides.filter(({ Status }) => Status !== status);
  if (open.length === 0) return;
  // The next slide may be shown by now.
  const about = open.length === 1 ? ` ${nameOf(open[0])} is unchanged.` : "";
  await act(() => change(open.map((seen) => ({ seen, fields: { Status: status } }))), notifyDone, about);
}

/**
 * Takes one of the texts of label and tag as a slide's ID. A text that does not fit the pattern names no case.
 * @param {Slide} slide
 * @param {IDCandidate} candidate
 */
export async function takeCandidate(slide, { SlideID, CaseID }) {
  const fields = CaseID === null ? { SlideID } : { SlideID, CaseID };
  await act(() => change([{ seen: slide, fields }]));
}

/**
 * @param {Slide[]} slides
 * @returns {Promise<boolean>} whether the user confirmed
 */
export async function remove(slides) {
  const note = element("p", {}, "Deleted slides are hidden from everyone. Their files are permanently deleted after about a week; until then they can be undeleted.");
  const title = slides.length === 1 ? "Delete this slide?" : `Delete ${counted(slides.length, "slide")}?`;
  const isMeant = await confirmed(title, [listed(slides), note], "Delete");
  if (isMeant) await mark(slides, "DELETED");
  return isMeant;
}

/**
 * @param {Slide[]} slides
 * @returns {HTMLElement} the names of the slides
 */
export function listed(slides) {
  const names = slides.slice(0, NAMED).map((slide) => element("li", {}, named(slide)));
  if (slides.length > NAMED) names.push(element("li", {}, `and ${slides.length - NAMED} more`));
  return element("ul", {}, ...names);
}

export async function undoLast() {
  await act(
    async () => {
      const outcome = await undo();
      if (outcome === null) notify("Nothing to undo.");
      return outcome;
    },
    (done) => notify(`Undone: ${described(done, "reset to")}`),
  );
}

/**
 * @param {Done[]} done
 * @param {string} [remark] what the user should look at
 */
export function notifyDone(done, remark = "") {
  const sent = done.filter(isUnderWay);
  const rest = done.filter((one) => !isUnderWay(one));
  if (rest.length > 0) notify(described(rest) + remark, { text: "Undo", act: undoLast });
  if (sent.length > 0) notify(`${sent.length === 1 ? nameOf(sent[0].after) : counted(sent.length, "slide")}: will be marked Sent when the registry confirms receipt`);
}

/**
 * @param {() => Promise<Outcome | null>} ask
 * @param {(done: Done[]) => void} [report]
 * @param {string} [about] an addition for when the server cannot be reached
 */
async function act(ask, report = notifyDone, about = "") {
  try {
    const outcome = await ask();
    if (outcome === null) return;
    if (outcome.done.length > 0) report(outcome.done);
    notifyFailed(outcome.failed);
  } catch (error) {
    if (error instanceof SessionExpiredError) return; // the page shows a dialog already
    if (error instanceof UnreachableError) notifyFailure(`Not saved – no connection.${about}`);
    else notifyFailure(`Not saved – ${error instanceof Error ? error.message : error}`);
  }
}

/** @param {Failed[]} failed */
export function notifyFailed(failed) {
  for (const { slide, error } of failed.slice(0, NAMED)) notifyFailure(`${nameOf(slide)} was not changed: ${withStatusNames(error)}`);
  if (failed.length > NAMED) notifyFailure(`${failed.length - NAMED} more slides were not changed.`);
}

/**
 * @param {Done[]} done
 * @param {string} [marked] the verb before the status
 * @returns {string}
 */
function described(done, marked = "marked") {
  const [{ before, after, fields }] = done;
  const names = /** @type {Field[]} */ (Object.keys(fields));
  const [field] = names;
  // A renamed slide is named by its old ID.
  const which = done.length === 1 ? nameOf(field === "SlideID" ? before : after) : counted(done.length, "slide");
  if (field === "Status") return `${which} ${outcomeOf(before.Status, fields[field] ?? null, marked)}`;
  return `${which}: ${names.map((name) => (fields[name] ? `${FIELD_NAMES[name]} is ${fields[name]}` : `${FIELD_NAMES[name]} removed`)).join(", ")}`;
}

/**
 * @param {string | null} old
 * @param {string | null} status
 * @param {string} marked
 */
function outcomeOf(old, status, marked) {
  if (status === "DELETED") return "deleted";
  return old === "DELETED" && status === "NEW" ? "undeleted" : `${marked} ${statusName(status)}`;
}

/** @param {Slide} slide */
function named(slide) {
  return [nameOf(slide), slide.CaseID && `case ${slide.CaseID}`, slide.Filename].filter(Boolean).join(" · ");
}
