// One row of the table: a cell is updated only where its content has changed.
import { element } from "../shared/element.js";
import { nameOf } from "../slide/display.js";
import { COLUMNS } from "./columns.js";

/** @import {Slide} from "../server/types.js" */
/** @import {RowActs} from "./columns.js" */
/** @typedef {{tr: HTMLTableRowElement, box: HTMLInputElement, show: (slide: Slide) => void}} Row */

/**
 * @param {Slide} slide
 * @param {RowActs} acts
 * @returns {Row}
 */
export function makeRow(slide, acts) {
  const box = element("input", { type: "checkbox", tabIndex: -1 });
  const tr = element("tr", { tabIndex: -1 }, element("td", { className: "choose" }, element("label", {}, box)));
  tr.dataset.id = slide.ImageID;
  const cells = COLUMNS.map(({ className }) => ({ td: element("td", { className }), shown: "" }));
  tr.append(...cells.map(({ td }) => td));

  /** @param {Slide} now */
  const show = (now) => {
    tr.dataset.status = now.Status ?? "";
    box.ariaLabel = `Select ${nameOf(now)}`;
    COLUMNS.forEach((column, at) => {
      const shows = JSON.stringify(column.shows(now));
      const { td, shown } = cells[at];
      // A cell with an open editor is not updated: saving it detects conflicts.
      if (shows === shown || td.querySelector("[data-editing]")) return;
      const hadFocus = td.contains(document.activeElement);
      td.replaceChildren(...column.make(now, acts));
      reach(td, tr.tabIndex);
      cells[at].shown = shows;
      if (hadFocus) tr.focus({ preventScroll: true });
    });
  };
  show(slide);
  return { tr, box, show };
}

/**
 * Makes the current row and its parts reachable by Tab; all other rows are skipped.
 * @param {HTMLTableRowElement} tr
 * @param {boolean} isCurrent
 */
export function makeReachable(tr, isCurrent) {
  tr.tabIndex = isCurrent ? 0 : -1;
  reach(tr, tr.tabIndex);
  tr.classList.toggle("current", isCurrent);
}

/**
 * @param {HTMLElement} where
 * @param {number} tabIndex
 */
function reach(where, tabIndex) {
  for (const part of where.querySelectorAll("button, input")) /** @type {HTMLElement} */ (part).tabIndex = tabIndex;
}
