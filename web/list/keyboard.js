// The keyboard map of the list.
import { undoLast } from "../editing/commands.js";
import { mayChange, mayDelete } from "../login/currentuser.js";
import { byId } from "../shared/element.js";
import { openKeyHelp } from "../shared/keyhelp.js";
import { bind } from "../shared/shortcuts.js";
import { MARKS, isJudgement, markText } from "../slide/statuses.js";
import { editCell } from "./celleditor.js";
import { goToOther } from "./duplicates.js";
import { focusSearch } from "./filters.js";
import { openLightbox } from "./lightbox.js";
import { clearSelection, currentId, select, selectAll, selectRange, step, targetIds } from "./selection.js";
import { focusRow } from "./table.js";
import { deleteChosen, markChosen, markSeen, move, openMore } from "./toolbar.js";

/** @import {Field} from "../server/types.js" */

const PAGE_ROWS = 8;
const FAR = 1e9;
const JUDGED = MARKS.filter(({ status }) => isJudgement(status));

/** @param {(ids: string[]) => void} view */
export function bindListKeys(view) {
  bind("list", "Select", [
    { keys: ["ArrowUp", "ArrowDown"], repeats: true, text: "previous, next slide", act: ({ key }) => move(key === "ArrowUp" ? -1 : 1) },
    { keys: ["PageUp", "PageDown"], repeats: true, text: "one page up, down", act: ({ key }) => move(key === "PageUp" ? -PAGE_ROWS : PAGE_ROWS) },
    { keys: ["Home", "End"], text: "first, last slide", act: ({ key }) => move(key === "Home" ? -FAR : FAR) },
    { keys: ["Space"], text: "select or deselect", act: () => withCurrent(select) },
    { keys: ["Shift+ArrowUp", "Shift+ArrowDown"], repeats: true, text: "extend selection", act: ({ key }) => extend(key === "ArrowUp" ? -1 : 1) },
    { keys: ["Ctrl+A"], text: "select all", act: selectAll },
    { keys: ["Escape"], text: "clear selection", act: clearSelection },
    { keys: ["/"], text: "search", atOnce: true, act: focusSearch },
    { keys: ["J"], text: "go to the other slide with this slide ID or file", act: goToOther },
  ]);
  const viewing = { keys: ["Enter"], text: "view", act: () => targetIds().length > 0 && view(targetIds()) };
  const help = { keys: ["?"], text: "show this help", act: openKeyHelp };
  bind("list", "Review", mayChange() ? [viewing, ...decisions()] : [viewing, help]);
  if (mayChange()) bind("list", "Edit", [...corrections(), help]);
}

function decisions() {
  return [
    ...MARKS.map(({ status, key }) => ({ keys: [key], text: markText(status), act: () => markSeen(status) })),
    { keys: JUDGED.map(({ key }) => `Shift+${key}`), text: "mark although not shown", act: unseen },
    ...(mayDelete() ? rare() : []),
    { keys: ["Ctrl+Z"], text: "undo last change", act: undoLast },
  ];
}

/** @param {KeyboardEvent} event */
function unseen({ key }) {
  const mark = JUDGED.find((one) => one.key === key.toUpperCase());
  if (mark) markChosen(mark.status);
}

function rare() {
  return [
    { keys: ["Delete"], text: "delete", act: deleteChosen },
    { keys: ["M"], text: "more: publish, archive, unarchive, purge …", act: openMore },
  ];
}

function corrections() {
  return [
    { keys: ["E", "F2"], text: "edit slide ID", act: () => edit("SlideID") },
    { keys: ["C"], text: "edit case ID", act: () => edit("CaseID") },
    { keys: ["I"], text: "choose the slide ID among the texts of label and tag", act: openChoice },
    { keys: ["R"], text: "edit reviewer", act: () => edit("Reviewer") },
    { keys: ["T"], text: "edit note", act: () => edit("Note") },
    { keys: ["L"], text: "enlarge label", act: () => withCurrent((id) => openLightbox(id, "label")) },
  ];
}

/** @param {number} by */
function extend(by) {
  withCurrent((id) => {
    selectRange(id);
    selectRange(step(by) ?? id);
    focusRow(currentId());
  });
}

/** @param {Field} field */
function edit(field) {
  withCurrent((id) => editCell(id, field));
}

function openChoice() {
  const opener = byId("rows").querySelector("tr.current .choose-id");
  if (opener instanceof HTMLElement) opener.click();
}

/** @param {(id: string) => void} act */
function withCurrent(act) {
  const id = currentId();
  if (id !== null) act(id);
}
