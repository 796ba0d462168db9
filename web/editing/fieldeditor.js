// Edits a field in place: Enter saves, Escape cancels.
import { registerState } from "../login/sessionstate.js";
import { element } from "../shared/element.js";
import { SessionExpiredError, UnreachableError } from "../shared/failures.js";
import { TAKES_CODES } from "../shared/keyburst.js";
import { FIELD_NAMES, nameOf } from "../slide/display.js";
import { change } from "./changes.js";
import { notifyDone } from "./commands.js";

/** @import {Field, Slide} from "../server/types.js" */
/** @typedef {"stay" | "up" | "down" | "next" | "previous" | "left"} Way where the focus goes when the editor closes */

/** @type {Record<string, Way>} */
const WAYS = { Enter: "stay", ArrowDown: "down", ArrowUp: "up" };
const LONGEST = 256;
/** The fields that a barcode may be scanned into. @type {Field[]} */
const SCANNED = ["SlideID", "CaseID"];

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
 * @param {(way: Way) => void} done called once, after the content of the host is restored
 */
export function editText(host, slide, field, done) {
  const before = [...host.childNodes];
  const input = inputFor(slide, field);
  const problem = element("small", { className: "problem", role: "alert" });
  let state = /** @type {"open" | "saving" | "closed"} */ ("open");

  const close = (/** @type {Way} */ way) => {
    state = "closed";
    writing = null;
    delete host.dataset.editing;
    host.replaceChildren(...before);
    done(way);
  };
  const save = async (/** @type {Way} */ way) => {
    if (state !== "open") return;
    const text = input.value.trim();
    if (text === (slide[field] ?? "")) return close(way);
    state = "saving";
    input.readOnly = true;
    const why = await problemSaving({ seen: slide, fields: { [field]: text || null } });
    if (why === null) return close(way);
    state = "open";
    input.readOnly = false;
    input.ariaInvalid = "true";
    problem.textContent = why;
    input.focus();
  };

  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const way = event.key === "Tab" ? (event.shiftKey ? "previous" : "next") : WAYS[event.key];
    if (!way && event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    if (way) save(way);
    else close("stay");
  });
  // A click elsewhere saves; switching to another window does not.
  input.addEventListener("blur", () => document.hasFocus() && save("left"));
  writing = () => ({ id: slide.ImageID, field, text: input.value });
  host.dataset.editing = field;
  host.replaceChildren(input, problem);
  input.focus();
  input.select();
  if (waiting?.id !== slide.ImageID || waiting.field !== field) return;
  input.value = waiting.text;
  waiting = null;
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
 * @returns {Promise<string | null>} the reason why it was not saved; null where it was, or where the stored value was kept
 */
async function problemSaving(wanted) {
  try {
    const { done, failed } = await change([wanted]);
    notifyDone(done);
    return failed.length > 0 ? failed[0].error : null;
  } catch (error) {
    if (error instanceof SessionExpiredError) return "Not saved – your session has expired.";
    if (error instanceof UnreachableError) return "Not saved – no connection. Press Enter to try again.";
    return `Not saved – ${error instanceof Error ? error.message : error}`;
  }
}
