// The table: one row for each slide of the results, one of them current.
import { onJobs } from "../jobs/openjobs.js";
import { button, byId, element } from "../shared/element.js";
import { knownSlide, onSlide } from "../slide/knownslides.js";
import { COLUMNS } from "./columns.js";
import { loadMore, onResults, results, sortBy } from "./results.js";
import { makeReachable, makeRow } from "./row.js";
import { clearSelection, currentId, onSelection, select, selectAll, selectRange, selectedIds, setCurrent } from "./selection.js";
import { nextSort } from "./sorting.js";

/** @import {Slide} from "../server/types.js" */
/** @import {RowActs} from "./columns.js" */
/** @import {Row} from "./row.js" */

/** @type {Map<string, Row>} */
const rows = new Map();
const all = element("input", { type: "checkbox", ariaLabel: "Select all listed slides" });
/** @type {string | null} */
let reachable = null;

/** @type {RowActs} */
let acts;

/**
 * @param {RowActs} rowActs
 * @param {(id: string) => void} open called on a double click
 */
export function startTable(rowActs, open) {
  acts = rowActs;
  byId("headings").append(chooseAll(), ...COLUMNS.map(heading));
  onResults(showRows);
  onSlide(showSlide);
  onSelection(showSelection);
  onJobs(() => rows.forEach((row, id) => row.show(/** @type {Slide} */ (knownSlide(id)))));
  const body = byId("rows");
  body.addEventListener("focusin", ({ target }) => setCurrent(idOf(target)));
  body.addEventListener("dblclick", ({ target }) => {
    const id = idOf(target);
    if (id !== null && !(target instanceof Element && target.closest("button, input"))) open(id);
  });
  body.addEventListener("click", clicked);
  byId("more").addEventListener("click", () => loadMore().catch(() => {}));
  // Loads the next page before the end is reached.
  const nearEnd = new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && loadMore().catch(() => {}), {
    root: byId("scroller"),
    rootMargin: "600px",
  });
  nearEnd.observe(byId("more"));
}

/** @param {Slide} slide the current version */
export function showSlide(slide) {
  rows.get(slide.ImageID)?.show(slide);
}

/**
 * @param {string | null} id
 * @param {ScrollLogicalPosition} [block]
 */
export function focusRow(id, block = "nearest") {
  const row = rows.get(id ?? "");
  if (!row) return byId("search").focus();
  row.tr.focus({ preventScroll: true });
  row.tr.scrollIntoView({ block });
}

/**
 * @param {string} id
 * @returns {boolean} whether the thumbnail of its row has been drawn
 */
export function isPictureShown(id) {
  const picture = rows.get(id)?.tr.querySelector("td.thumbnail img");
  return picture instanceof HTMLImageElement && picture.complete && picture.naturalWidth > 0;
}

/** @returns {boolean} whether the focus is on a row, or nowhere */
export function hasFocus() {
  return byId("rows").contains(document.activeElement) || document.activeElement === document.body;
}

/** @param {MouseEvent} event */
function clicked({ target, shiftKey }) {
  const id = idOf(target);
  if (id === null || !(target instanceof HTMLElement)) return;
  if (target instanceof HTMLInputElement && target.type === "checkbox") {
    if (shiftKey) selectRange(id);
    else select(id, target.checked);
  } else if (shiftKey) selectRange(id);
}

/**
 * @param {EventTarget | null} target
 * @returns {string | null}
 */
function idOf(target) {
  const tr = target instanceof Element ? target.closest("tr") : null;
  return tr?.dataset.id ?? null;
}

function chooseAll() {
  all.addEventListener("change", () => (all.checked ? selectAll() : clearSelection()));
  return element("th", { className: "choose", scope: "col" }, element("label", {}, all));
}

/** @param {import("./columns.js").Column} column */
function heading({ title, className, sort }) {
  const th = element("th", { className, scope: "col" });
  if (!sort) th.append(title);
  else th.append(button(title, () => sortBy(nextSort(results().sort, sort)).catch(() => {}), { title: `Sort by ${title}` }));
  th.dataset.sort = sort ?? "";
  return th;
}

function showRows() {
  const { ids, nextToken, sort, loaded } = results();
  const wanted = new Set(ids);
  const held = document.activeElement?.closest("tr")?.dataset.id;
  for (const [id, { tr }] of rows) {
    if (wanted.has(id)) continue;
    tr.remove();
    rows.delete(id);
  }
  const body = byId("rows");
  ids.forEach((id, place) => {
    const row = rows.get(id) ?? newRow(/** @type {Slide} */ (knownSlide(id)));
    // Rows that stay in place are not touched: focus and scroll position are kept.
    if (body.children[place] !== row.tr) body.insertBefore(row.tr, body.children[place] ?? null);
  });
  byId("slides").hidden = ids.length === 0;
  byId("more").hidden = nextToken === null;
  byId("loading").hidden = loaded;
  byId("sorted-part").hidden = sort === null || nextToken === null;
  for (const th of byId("headings").querySelectorAll("th")) {
    if (th.dataset.sort) th.ariaSort = sort?.field !== th.dataset.sort ? "none" : sort.down ? "descending" : "ascending";
  }
  showSelection();
  if (held && !wanted.has(held)) focusRow(currentId());
}

/** @param {Slide} slide */
function newRow(slide) {
  const row = makeRow(slide, acts);
  rows.set(slide.ImageID, row);
  return row;
}

function showSelection() {
  const { ids } = results();
  const selected = selectedIds();
  for (const [id, { tr, box }] of rows) {
    box.checked = selected.has(id);
    tr.ariaSelected = String(box.checked);
  }
  all.checked = selected.size > 0 && selected.size === ids.length;
  all.indeterminate = selected.size > 0 && !all.checked;
  const current = currentId() ?? ids[0] ?? null; // without a current row, Tab reaches the first one
  for (const id of [reachable, current]) {
    const tr = rows.get(id ?? "")?.tr;
    if (tr) makeReachable(tr, id === current);
  }
  reachable = current;
  rows.get(current ?? "")?.tr.classList.toggle("current", currentId() !== null);
}
