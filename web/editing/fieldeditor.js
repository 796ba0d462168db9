// Edits a field in place: Enter saves, Escape cancels.
import { registerState } from "../login/sessionstate.js";
import { element } from "../shared/element.js";
import { SessionExpiredError, UnreachableError } from "../shared/failures.js";
import { TAKES_CODES } from "../shared/keyburst.js";
import { FIELD_NAMES, nameOf } from "../slide/display.js";
import { caseFill } from "./casefill.js";
import { change } from "./changes.js";
import { notifyDone } from "./commands.js";
import { keptKeys } from "./keptkeys.js";

/** @import {Field, Slide} from "../server/types.js" */
/** @import {CaseFill} from "./casefill.js" */
/** @typedef {import("./keptkeys.js").Way} Way */

/** @type {Record<string, Way>} */
const WAYS = { Enter: "stay", ArrowDown: "down", ArrowUp: "up" };
const LONGEST = 256;
/** The fields that a barcode may be scanned into. @type {Field[]} */
const SCANNED = ["SlideID", "CaseID"];

/** @typedef {{text: string, isTyped: boolean}} Beginning what the next editor begins with: proposed, or typed already */
/** @typedef {{id: string, field: Field, text: string}} Draft */
/** @type {(() => Draft) | null} */
let writing = null;
/** @type {Draft | null} */
let waiting = null;

registerState("draft", { save: () => writing?.() ?? null, restore: (draft) => (waiting = draft) });

/** @returns {Draft | null} the draft from before the user had to log in again */
export function waitingDraft() {
  return waiting;
}

/**
 * @param {HTMLElement} host the editor replaces its content until it is closed
 * @param {Slide} slide as the user sees it now
 * @param {Field} field
 * @param {(way: Way, beginning: Beginning | null) => void} done called once, after the content of the host is restored
 * @param {Beginning | null} [beginning]
 */
export function editText(host, slide, field, done, beginning = null) {
  const before = [...host.childNodes];
  const input = inputFor(slide, field);
  const problem = element("small", { className: "problem", role: "alert" });
  const fill = field === "SlideID" ? caseFill(input) : null;
  let state = /** @type {"open" | "asking" | "saving" | "closed"} */ ("open");
  const kept = keptKeys(WAYS);
  const isClosed = () => state === "closed";

  const close = (/** @type {Way} */ way, /** @type {Beginning | null} */ next = null) => {
    state = "closed";
    writing = null;
    delete host.dataset.editing;
    host.replaceChildren(...before);
    done(way, next);
  };
  const reopen = (/** @type {string} */ why) => {
    state = "open";
    input.readOnly = false;
    input.ariaInvalid = "true";
    problem.textContent = why;
    input.value += kept.take();
    input.focus();
  };
  const save = async (/** @type {Way} */ way) => {
    if (state !== "open") return;
    const text = input.value.trim();
    if (text === (slide[field] ?? "")) return close(way);
    state = "asking";
    input.readOnly = true;
    const why = await problemOf(async () => {
      // By Tab, the user goes on to the case, and can change it before it is saved.
      const found = fill && text && way !== "next" ? await fill.caseOf(text) : undefined;
      if (isClosed()) return null;
      state = "saving";
      const fields = { [field]: text || null, ...(found && found !== slide.CaseID ? { CaseID: found } : {}) };
      const isOpen = found === null && slide.CaseID !== slide.ImageID;
      return saved({ seen: slide, fields }, isOpen ? " – it does not fit the pattern of IDs: check the case ID" : "");
    });
    if (isClosed()) return; // by Escape, while the case was looked up
    if (why !== null) return reopen(why);
    await kept.quiet(); // a barcode gun types on: the rest must not be taken for shortcuts
    const typed = kept.take();
    if (typed) close(kept.way() ?? way, { text: typed, isTyped: true });
    else close(kept.way() ?? way, way === "next" && fill ? await proposal(fill, text) : null);
  };

  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const way = event.key === "Tab" ? (event.shiftKey ? "previous" : "next") : WAYS[event.key];
    if (state === "asking" || state === "saving") {
      if (event.key === "Escape" && state === "asking") close("stay");
      else kept.keep(event);
    } else if (way) save(way);
    else if (event.key === "Escape") close("stay");
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  // A click elsewhere saves; switching to another window does not.
  input.addEventListener("blur", () => document.hasFocus() && save("left"));
  writing = () => ({ id: slide.ImageID, field, text: input.value });
  host.dataset.editing = field;
  host.replaceChildren(input, ...(fill ? [fill.hint] : []), problem);
  begin(input, slide, field, beginning);
}

/**
 * @param {HTMLInputElement} input
 * @param {Slide} slide
 * @param {Field} field
 * @param {Beginning | null} beginning
 */
function begin(input, slide, field, beginning) {
  input.value = beginning?.text ?? input.value;
  input.focus();
  if (!beginning?.isTyped) input.select();
  if (beginning?.isTyped) input.dispatchEvent(new Event("input"));
  if (waiting?.id !== slide.ImageID || waiting.field !== field) return;
  input.value = waiting.text;
  waiting = null;
}

/**
 * @param {CaseFill} fill
 * @param {string} text
 * @returns {Promise<Beginning | null>}
 */
async function proposal(fill, text) {
  const found = text ? await fill.caseOf(text).catch(() => null) : null;
  return found === null ? null : { text: found, isTyped: false };
}

/**
 * @param {Slide} slide
 * @param {Field} field
 */
function inputFor(slide, field) {
  const ariaLabel = `${FIELD_NAMES[field]} of ${nameOf(slide)}`;
  const value = slide[field] ?? "";
  const input = element("input", { type: "text", ariaLabel, value, maxLength: LONGEST, spellcheck: false, autocomplete: "off" });
  input.toggleAttribute(TAKES_CODES, SCANNED.includes(field));
  return input;
}

/**
 * @param {import("./changes.js").Change} wanted
 * @param {string} remark
 * @returns {Promise<string | null>} the reason why it was not saved; null where it was, or where the stored value was kept
 */
async function saved(wanted, remark) {
  const { done, failed } = await change([wanted]);
  notifyDone(done, remark);
  return failed.length > 0 ? failed[0].error : null;
}

/**
 * @param {() => Promise<string | null>} act
 * @returns {Promise<string | null>} the result, or the reason why the server could not be asked
 */
async function problemOf(act) {
  try {
    return await act();
  } catch (error) {
    if (error instanceof SessionExpiredError) return "Not saved – your session has expired.";
    if (error instanceof UnreachableError) return "Not saved – no connection. Press Enter to try again.";
    return `Not saved – ${error instanceof Error ? error.message : error}`;
  }
}
