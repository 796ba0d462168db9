// The keyboard map of the viewer.
import { undoLast } from "../editing/commands.js";
import { MAGNIFICATIONS } from "../image/magnifications.js";
import { mayChange, mayDelete } from "../login/currentuser.js";
import { bind } from "../shared/shortcuts.js";
import { MARKS, isJudgement, markText } from "../slide/statuses.js";
import { activePane } from "./panes.js";
import { acts, hideRuler, isRulerOn } from "./viewer.js";

/** @import {Point} from "../image/viewport.js" */

/** @type {Record<string, Point>} */
const DIRECTIONS = { ArrowLeft: { x: -1, y: 0 }, ArrowRight: { x: 1, y: 0 }, ArrowUp: { x: 0, y: -1 }, ArrowDown: { x: 0, y: 1 } };
const ARROWS = Object.keys(DIRECTIONS);
const FINE_PX = 1;
const COARSE_PX = 10;
const JUDGED = MARKS.filter(({ status }) => isJudgement(status));

export function bindViewerKeys() {
  bind("viewer", "Slides", [
    { keys: ["N", "PageDown"], text: "next slide", act: () => acts.go(1) },
    { keys: ["P", "PageUp"], text: "previous slide", act: () => acts.go(-1) },
    { keys: ["D"], text: "add the next slide beside this one", act: acts.addBeside },
    { keys: ["V"], text: "side by side or tabs", act: acts.toggleLayout },
    { keys: [",", "."], text: "previous, next open slide", act: ({ key }) => acts.otherPane(key === "," ? -1 : 1) },
    { keys: ["X"], text: "close this slide", act: acts.close },
    { keys: ["Escape"], text: "close the ruler, or go back to the list", act: () => hideRuler() || acts.leave() },
  ]);
  if (mayChange()) bindChanges();
  bind("viewer", "View", [
    { keys: MAGNIFICATIONS.map((_, at) => String(at + 1)), text: MAGNIFICATIONS.map((step) => `${step}×`).join(" "), act: ({ key }) => acts.zoomToStep(MAGNIFICATIONS[Number(key) - 1]) },
    { keys: ["0"], text: "fit the whole slide", act: acts.whole },
    { keys: ["+", "−"], also: ["=", "-"], repeats: true, text: "zoom in, out", act: ({ key }) => acts.zoomBy("+=".includes(key) ? 1.5 : 1 / 1.5) },
    { keys: ARROWS, repeats: true, text: "move, or measure with the ruler", act: arrow },
    { keys: ["R", "Shift+R"], text: "rotate right, left", act: ({ shiftKey }) => acts.turn(shiftKey ? -90 : 90) },
  ]);
  bind("viewer", "Tools", [
    { keys: ["M"], text: "ruler (drag, or use the arrow keys)", act: acts.toggleRuler },
    { keys: ARROWS.map((key) => `Shift+${key}`), repeats: true, text: "measure pixel by pixel", act: arrow },
    { keys: ["L"], text: "label and overview", act: acts.toggleLabel },
    { keys: ["O"], text: "navigator", act: acts.toggleNavigator },
    { keys: ["K"], text: "copy link to this view", act: acts.copyLink },
    { keys: ["?"], text: "show this help", act: acts.help },
  ]);
}

function bindChanges() {
  bind("viewer", "Review", [
    ...MARKS.map(({ status, key }) => ({ keys: [key], text: markText(status), act: () => acts.markSeen(status) })),
    { keys: JUDGED.map(({ key }) => `Shift+${key}`), text: "mark although not shown", act: unseen },
    { keys: ["E", "F2"], text: "edit slide ID", act: () => acts.edit("SlideID") },
    { keys: ["C"], text: "edit case ID", act: () => acts.edit("CaseID") },
    ...(mayDelete() ? [{ keys: ["Delete"], text: "delete", act: acts.remove }] : []),
    { keys: ["Ctrl+Z"], text: "undo last change", act: undoLast },
  ]);
}

/** @param {KeyboardEvent} event */
function unseen({ key }) {
  const mark = JUDGED.find((one) => one.key === key.toUpperCase());
  if (mark) acts.mark(mark.status);
}

/** @param {KeyboardEvent} event */
function arrow({ key, shiftKey }) {
  const { x, y } = DIRECTIONS[key];
  const pixels = shiftKey ? FINE_PX : COARSE_PX;
  if (isRulerOn()) activePane()?.growRuler({ x: x * pixels, y: y * pixels });
  else activePane()?.pan({ x, y });
}
