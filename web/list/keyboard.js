// The keys of the table.
import { undoLast } from "../editing/commands.js";
import { mayChange, mayDelete } from "../login/currentuser.js";
import { openKeyHelp } from "../shared/keyhelp.js";
import { bind } from "../shared/shortcuts.js";
import { MARKS, statusName } from "../slide/statuses.js";
import { editCell } from "./celleditor.js";
import { focusSearch } from "./filters.js";
import { openLightbox } from "./lightbox.js";
import { clearSelection, currentId, select, selectAll, selectRange, step, targetIds } from "./selection.js";
import { focusRow } from "./table.js";
import { deleteChosen, markChosen, move, openMore } from "./toolbar.js";

/** @import {Field} from "../server/types.js" */

const PAGE_ROWS = 8;
const FAR = 1e9;

/** @param {(ids: string[]) => void} view */
export function bindListKeys(view) {
  bind("list", "Choose", [
    { keys: ["ArrowUp", "ArrowDown"], text: "previous, next slide", act: ({ key }) => move(key === "ArrowUp" ? -1 : 1) },
    { keys: ["PageUp", "PageDown"], text: "a screenful", act: ({ key }) => move(key === "PageUp" ? -PAGE_ROWS : PAGE_ROWS) },
    { keys: ["Home", "End"], text: "first, last", act: ({ key }) => move(key === "Home" ? -FAR : FAR) },
    { keys: ["Space"], text: "tick, for doing something with many", act: () => withCurrent(select) },
    { keys: ["Shift+ArrowUp", "Shift+ArrowDown"], text: "tick a range", act: ({ key }) => extend(key === "ArrowUp" ? -1 : 1) },
    { keys: ["Ctrl+A"], text: "tick all", act: selectAll },
    { keys: ["Escape"], text: "untick", act: clearSelection },
    { keys: ["/"], text: "search", act: focusSearch },
  ]);
  const look = { keys: ["Enter"], text: "view", act: () => targetIds().length > 0 && view(targetIds()) };
  const sheet = { keys: ["?"], text: "this sheet", act: openKeyHelp };
  bind("list", "Do", mayChange() ? [look, ...decisions()] : [look, sheet]);
  if (mayChange()) bind("list", "Correct", [...corrections(), sheet]);
}

function decisions() {
  return [
    ...MARKS.map(({ status, key }) => ({ keys: [key], text: `mark ${statusName(status).toLowerCase()}`, act: () => markChosen(status) })),
    ...(mayDelete() ? rare() : []),
    { keys: ["Ctrl+Z"], text: "undo the last change", act: undoLast },
  ];
}

function rare() {
  return [
    { keys: ["Delete"], text: "delete", act: deleteChosen },
    { keys: ["M"], text: "more: publish, archive, restore, purge …", act: openMore },
  ];
}

function corrections() {
  return [
    { keys: ["E", "F2"], text: "edit the slide ID", act: () => edit("SlideID") },
    { keys: ["C"], text: "edit the case ID", act: () => edit("CaseID") },
    { keys: ["R"], text: "edit the reviewer", act: () => edit("Reviewer") },
    { keys: ["T"], text: "edit the note", act: () => edit("Note") },
    { keys: ["L"], text: "label, large", act: () => withCurrent((id) => openLightbox(id, "label")) },
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

/** @param {(id: string) => void} act */
function withCurrent(act) {
  const id = currentId();
  if (id !== null) act(id);
}
