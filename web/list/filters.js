// The search text and the filters by status and scan date.
import { registerState } from "../login/sessionstate.js";
import { countSlides } from "../server/api.js";
import { button, byId, debounced, element, setText } from "../shared/element.js";
import { watched } from "../shared/health.js";
import { notifyFailure } from "../shared/notices.js";
import { onSlide } from "../slide/knownslides.js";
import { STATUSES, statusName } from "../slide/statuses.js";
import { onResults, results, searchFor, startWith } from "./results.js";

const TYPING_MS = 180;
const COUNTING_MS = 300;
const DAY_MS = 86_400_000;
/** The statuses of review; the others are in a menu. */
const CHIPS = ["NEW", "GOOD", "BAD", "SENT"];
const SELDOM = STATUSES.filter((status) => !CHIPS.includes(status));

/** @type {Map<string | null, {chip: HTMLButtonElement, count: HTMLElement}>} */
const chips = new Map();
/** @type {Map<string, number>} */
let counts = new Map();

const search = /** @type {HTMLInputElement} */ (byId("search"));
const since = /** @type {HTMLSelectElement} */ (byId("since"));
const others = /** @type {HTMLSelectElement} */ (byId("others"));
const duplicates = button("Duplicates", () => applyFilter({ duplicates: results().search.duplicates ? null : true }), { className: "chip", title: "Slides with the same slide ID or the same file" });

export function startFilters() {
  for (const status of [null, ...CHIPS]) others.before(makeChip(status));
  for (const status of SELDOM) others.append(element("option", { value: status }));
  others.after(duplicates);
  others.addEventListener("change", () => applyFilter({ status: others.value || null }));
  const find = () => applyFilter({ text: search.value.trim() || null });
  search.addEventListener("input", debounced(TYPING_MS, find));
  search.addEventListener("keydown", searchKey);
  since.addEventListener("change", () => applyFilter({ scanDateFrom: beginOf(since.value) }));
  byId("clear-filters").addEventListener("click", clear);
  onResults(showFilters);
  onSlide(countSoon);
}

registerState("search", {
  save: () => ({ text: search.value, status: results().search.status, since: since.value, duplicates: results().search.duplicates }),
  restore({ text, status, since: days, duplicates: isOn }) {
    search.value = text;
    since.value = days;
    startWith({ text: text.trim() || null, status, scanDateFrom: beginOf(days), duplicates: isOn ?? null });
  },
});

/** @param {string | null} status */
export function filterBy(status) {
  applyFilter({ status: status === results().search.status ? null : status });
}

export function focusSearch() {
  search.focus();
  search.select();
}

export async function refreshCounts() {
  counts = new Map((await watched(countSlides())).map(({ Status, count }) => [Status, count]));
  showFilters();
}

const countSoon = debounced(COUNTING_MS, () => refreshCounts().catch(() => {}));

function clear() {
  searchOnly("");
  search.focus();
}

/**
 * Searches for a text, without any other filter.
 * @param {string} text
 * @returns {Promise<void>}
 */
export function searchOnly(text) {
  search.value = text;
  since.value = "";
  return applyFilter({ text: text || null, status: null, scanDateFrom: null, duplicates: null });
}

/** @param {Parameters<typeof searchFor>[0]} change */
function applyFilter(change) {
  const found = searchFor(change).catch((error) => notifyFailure(`Search failed: ${error.message}`));
  showFilters();
  byId("scroller").scrollTop = 0;
  return found;
}

/** @param {KeyboardEvent} event */
function searchKey(event) {
  if (event.key === "Escape" && search.value) {
    search.value = "";
    applyFilter({ text: null });
  } else if (event.key === "Enter") {
    findNow();
  } else if (event.key === "ArrowDown" || event.key === "Escape") {
    focusFirst();
  } else return;
  event.preventDefault();
}

function focusFirst() {
  byId("rows").querySelector("tr")?.focus();
}

/** Searches for what is typed, which the search while typing may not have reached, and goes to the first slide. */
async function findNow() {
  try {
    await searchFor({ text: search.value.trim() || null });
    focusFirst();
  } catch (error) {
    notifyFailure(`Search failed: ${error instanceof Error ? error.message : error}`);
  }
}

/** @param {string | null} status */
function makeChip(status) {
  const count = element("span", { className: "count" });
  const chip = button(status === null ? "All" : statusName(status), () => filterBy(status), { className: "chip" });
  chip.dataset.status = status ?? "";
  chip.append(" ", count);
  chips.set(status, { chip, count });
  return chip;
}

function showFilters() {
  const wanted = results().search;
  for (const [status, { chip, count }] of chips) {
    const number = status === null ? total() : counts.get(status) ?? 0;
    const isWanted = wanted.status === status;
    setText(count, number.toLocaleString("en"));
    chip.ariaPressed = String(isWanted);
  }
  duplicates.ariaPressed = String(wanted.duplicates === true);
  for (const option of others.options) if (option.value) setText(option, `${statusName(option.value)} ${(counts.get(option.value) ?? 0).toLocaleString("en")}`);
  others.value = SELDOM.find((status) => status === wanted.status) ?? "";
  others.classList.toggle("pressed", others.value !== "");
  showEmpty();
}

function showEmpty() {
  const { ids, loaded, search: wanted } = results();
  const isFiltered = Object.values(wanted).some((value) => value !== null);
  byId("nothing-found").hidden = !(loaded && ids.length === 0 && isFiltered);
  byId("empty").hidden = !(loaded && ids.length === 0 && !isFiltered);
}

/** @returns {number} what "All" lists: everything but deleted slides */
function total() {
  return [...counts].reduce((sum, [status, count]) => (status === "DELETED" ? sum : sum + count), 0);
}

/**
 * @param {string} days days back from today; "" for any time
 * @returns {string | null}
 */
function beginOf(days) {
  if (days === "") return null;
  const today = new Date();
  today.setHours(0, 0, 0, 0);
  return new Date(today.getTime() - Number(days) * DAY_MS).toISOString();
}
