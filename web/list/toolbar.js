// The bar below the table: the actions for the selected slides, with their keys.
import { isMeant, mark, notifyUnseen, remove } from "../editing/commands.js";
import { lifecycleItems } from "../jobs/requests.js";
import { mayChange, mayDelete } from "../login/currentuser.js";
import { button, byId, element, setText } from "../shared/element.js";
import { counted } from "../shared/format.js";
import { menuOf } from "../shared/menu.js";
import { flip, setting } from "../shared/settings.js";
import { nameOf } from "../slide/display.js";
import { knownSlide, onSlide } from "../slide/knownslides.js";
import { MARKS, isJudgement, statusName } from "../slide/statuses.js";
import { loadMore, results } from "./results.js";
import { clearSelection, currentId, onSelection, selectedIds, step, targetIds } from "./selection.js";
import { focusRow, hasFocus, isPictureShown } from "./table.js";

/** @import {Slide} from "../server/types.js" */

/** @type {HTMLButtonElement[]} */
let needChoice = [];
const more = keyed("More", "M", () => {}, { id: "more-actions", title: "Publish, archive, unarchive, purge … (M)" });

/** @param {(ids: string[]) => void} view */
export function startToolbar(view) {
  const marks = MARKS.map(({ status, key }) => keyed(statusName(status), key, () => markChosen(status), { className: "mark" }));
  marks.forEach((made, at) => (made.dataset.status = MARKS[at].status));
  const viewChosen = keyed("View", "Enter", () => view(targetIds()), { className: "primary" });
  const removeChosen = keyed("Delete", "Del", deleteChosen, { className: "danger" });
  const changes = [...(mayChange() ? marks : []), ...(mayDelete() ? [removeChosen] : [])];
  const rare = mayDelete() ? [more, menuOf(more, "More", () => lifecycleItems(chosen()))] : [];
  needChoice = [viewChosen, ...changes];
  const clear = button("Clear selection", clearSelection, { id: "clear-selection", title: "Clear selection (Escape)" });
  byId("actions").append(viewChosen, ...changes, ...rare, element("p", { id: "chosen" }), clear);
  if (mayChange()) byId("actions").append(makeAutoAdvance());
  onSelection(showChosen);
  onSlide(showChosen);
  showChosen();
}

/** @param {string} status */
export function markSeen(status) {
  const unseen = isJudgement(status) ? chosen().filter(({ ImageID }) => !isPictureShown(ImageID)) : [];
  if (unseen.length > 0) notifyUnseen(unseen, status);
  else markChosen(status);
}

/** @param {string} status */
export async function markChosen(status) {
  const slides = chosen();
  if (!(await isMeant(slides, status))) return;
  mark(slides, status);
  if (selectedIds().size === 0 && slides.length === 1 && setting("goOn")) advance();
}

export async function deleteChosen() {
  const slides = chosen();
  if (slides.length > 0) await remove(slides);
}

export function openMore() {
  more.click();
}

/**
 * Moves the focus, and fetches the next page before the last row is left.
 * @param {number} by how many rows
 */
export function move(by) {
  focusRow(step(by));
  if (currentId() === results().ids.at(-1)) loadMore().catch(() => {});
}

function advance() {
  const before = document.activeElement;
  const hadFocus = hasFocus();
  step(1);
  if (hadFocus) focusRow(currentId());
  else if (before instanceof HTMLElement) before.focus(); // a clicked button keeps the focus
}

/** @returns {Slide[]} */
function chosen() {
  return targetIds().flatMap((id) => knownSlide(id) ?? []);
}

/**
 * @param {string} text
 * @param {string} key
 * @param {() => void} act
 * @param {Partial<HTMLButtonElement>} properties
 */
function keyed(text, key, act, properties) {
  const made = button(text, act, properties);
  made.append(element("kbd", { ariaHidden: "true" }, key));
  made.ariaKeyShortcuts = key === "Del" ? "Delete" : key;
  return made;
}

function makeAutoAdvance() {
  const box = element("input", { type: "checkbox", checked: setting("goOn") });
  box.addEventListener("change", () => (box.checked = flip("goOn")));
  return element("label", { className: "choice", title: "Go to the next slide after marking this one" }, box, "Auto-advance");
}

function showChosen() {
  const slides = chosen();
  for (const one of needChoice) one.disabled = slides.length === 0;
  more.disabled = lifecycleItems(slides).length === 0;
  const isSelected = selectedIds().size > 0;
  byId("clear-selection").hidden = !isSelected;
  const text = isSelected ? `${counted(slides.length, "slide")} selected` : slides.map(nameOf).join("");
  setText(byId("chosen"), text || "Select a slide with ↑ ↓, or several with Space.");
}
