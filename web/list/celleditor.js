// Edits cells of the table. The label is shown large beside the editor: the ID is read from it.
import { takeCandidate } from "../editing/commands.js";
import { editText, waitingDraft } from "../editing/fieldeditor.js";
import { mayChange } from "../login/currentuser.js";
import { byId, element } from "../shared/element.js";
import { candidateText } from "../slide/display.js";
import { slideImage } from "../slide/images.js";
import { knownSlide } from "../slide/knownslides.js";
import { currentId, setCurrent, step } from "./selection.js";
import { showSlide } from "./table.js";

/** @import {Field, IDCandidate, Slide} from "../server/types.js" */
/** @import {Beginning, Way} from "../editing/fieldeditor.js" */

/** @type {Field[]} */
const IN_ORDER = ["SlideID", "CaseID"];
const MARGIN_PX = 12;

/**
 * @param {string} id
 * @param {Field} field
 * @param {Beginning | null} [beginning] what the editor begins with in place of the stored value
 */
export function editCell(id, field, beginning = null) {
  const tr = byId("rows").querySelector(`tr[data-id="${CSS.escape(id)}"]`);
  const host = tr?.querySelector(`[data-field="${field}"]`);
  const slide = knownSlide(id);
  if (!mayChange() || !(tr instanceof HTMLElement) || !(host instanceof HTMLElement) || !slide || host.dataset.editing) return;
  setCurrent(id);
  tr.scrollIntoView({ block: "nearest" });
  const closed = (/** @type {Way} */ way, /** @type {Beginning | null} */ next) => {
    byId("label-aid").hidden = true;
    // Changes that arrived while the editor was open have not been shown yet.
    const now = knownSlide(id);
    if (now) showSlide(now);
    moveOn(tr, id, field, way, next);
  };
  editText(host, slide, field, closed, beginning);
  showLabel(slide, host);
}

/**
 * @param {string} id
 * @param {IDCandidate} candidate
 */
export function takeListed(id, candidate) {
  const slide = knownSlide(id);
  if (slide) takeCandidate(slide, candidate);
}

/** Reopens the editor that was open before the user had to log in again. */
export function resumeEditing() {
  const draft = waitingDraft();
  if (draft && !document.body.classList.contains("viewing")) editCell(draft.id, draft.field);
}

/**
 * @param {HTMLElement} tr
 * @param {string} id
 * @param {Field} field
 * @param {Way} way
 * @param {Beginning | null} next
 */
function moveOn(tr, id, field, way, next) {
  if (way === "left") return; // the focus stays where the user put it
  const by = { up: -1, down: 1 }[/** @type {string} */ (way)];
  if (by) {
    const neighbour = currentId() === id ? step(by) : null;
    if (neighbour !== null && neighbour !== id) return editCell(neighbour, field, next);
  }
  const at = IN_ORDER.indexOf(field) + (way === "next" ? 1 : way === "previous" ? -1 : 0);
  if (at >= 0 && IN_ORDER[at] && IN_ORDER[at] !== field && IN_ORDER.includes(field)) return editCell(id, IN_ORDER[at], next);
  if (next !== null) return editCell(id, field, next);
  tr.focus({ preventScroll: true });
}

/**
 * @param {Slide} slide
 * @returns {string[]} what the label and the scanner's tag say
 */
function textsOf({ Barcode, IDCandidates }) {
  if (IDCandidates) return IDCandidates.map(candidateText);
  return [Barcode ? `Barcode: ${Barcode}` : "Barcode not readable"];
}

/**
 * @param {Slide} slide
 * @param {HTMLElement} host
 */
function showLabel(slide, host) {
  if (slide.LabelURL === null) return;
  const aid = byId("label-aid");
  aid.replaceChildren(slideImage(slide, "label", "The slide's label"), ...textsOf(slide).map((text) => element("p", {}, text)));
  aid.hidden = false;
  const box = host.getBoundingClientRect();
  const room = window.innerHeight - aid.offsetHeight - MARGIN_PX;
  const right = /** @type {HTMLElement} */ (host.closest("tr")).querySelector(".case-id")?.getBoundingClientRect().right ?? box.right;
  aid.style.left = `${Math.min(Math.max(right, box.right) + MARGIN_PX, window.innerWidth - aid.offsetWidth - MARGIN_PX)}px`;
  aid.style.top = `${Math.max(MARGIN_PX, Math.min(box.top - aid.offsetHeight / 3, room))}px`;
}
