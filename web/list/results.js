// The slides that match the search, in order. The table shows them, the viewer's "next" follows them.
import { getSlides, searchSlides } from "../server/api.js";
import { debounced } from "../shared/element.js";
import { watched } from "../shared/health.js";
import { knownSlide, onSlide, storeSlides } from "../slide/knownslides.js";
import { comparator } from "./sorting.js";

/** @import {Page, Search, Slide} from "../server/types.js" */
/** @import {Sort} from "./sorting.js" */

const PAGE = 100;
const NEWS_PAUSE_MS = 200;

/** @type {{search: Search, ids: string[], nextToken: string | null, sort: Sort | null, loaded: boolean}} */
const state = {
  search: { text: null, status: null, scanDateFrom: null, duplicates: null },
  ids: [],
  nextToken: null,
  sort: null,
  loaded: false,
};
/** @type {(() => void)[]} */
const listeners = [];
let asked = 0; // counts requests: the answer to an earlier one is discarded
/** @type {Promise<void> | null} */
let loadingMore = null;

/** @returns {Readonly<typeof state>} */
export function results() {
  return state;
}

/** @param {() => void} listener called when the listed slides or their order change */
export function onResults(listener) {
  listeners.push(listener);
}

/** @param {Partial<Search>} change */
export async function searchFor(change) {
  state.search = { ...state.search, ...change };
  await load();
}

/** @param {Search} search the first search */
export function startWith(search) {
  state.search = search;
}

export async function load() {
  const mine = ++asked;
  loadingMore = null;
  const page = await watched(searchSlides(state.search, PAGE, null));
  if (mine !== asked) return;
  state.ids = [];
  state.loaded = true;
  append(page);
}

/** @returns {Promise<void>} shared by all callers while one is in progress */
export function loadMore() {
  if (state.nextToken === null) return Promise.resolve();
  loadingMore ??= nextPage().finally(() => (loadingMore = null));
  return loadingMore;
}

async function nextPage() {
  const mine = asked;
  const page = await watched(searchSlides(state.search, PAGE, state.nextToken));
  if (mine === asked) append(page);
}

/** @param {Page<Slide>} page */
function append(page) {
  const have = new Set(state.ids);
  const ids = accepted(page).filter((id) => !have.has(id));
  state.ids.push(...ids);
  state.nextToken = page.nextToken;
  if (state.sort) sort();
  changed();
}

/** @param {Sort | null} wanted; null: the server's own order */
export async function sortBy(wanted) {
  state.sort = wanted;
  if (wanted === null) return load();
  sort();
  changed();
}

function sort() {
  const compare = comparator(/** @type {Sort} */ (state.sort));
  state.ids.sort((a, b) => compare(/** @type {Slide} */ (knownSlide(a)), /** @type {Slide} */ (knownSlide(b))));
}

/**
 * Catches up after a pause: fetches new slides of the first page, and the listed slides again.
 * Slides that stay listed keep their place.
 */
export async function refreshResults() {
  if (!state.loaded) return load();
  await Promise.all([lookForNew(), lookAgain()]);
}

async function lookForNew() {
  const mine = asked;
  const page = await watched(searchSlides(state.search, PAGE, null));
  if (mine !== asked) return;
  let before = state.ids.length;
  accepted(page).forEach((id, at, ids) => {
    if (!state.ids.includes(id)) state.ids.splice(at === 0 ? 0 : state.ids.indexOf(ids[at - 1]) + 1, 0, id);
  });
  if (state.ids.length !== before) changed();
}

async function lookAgain() {
  const ids = [...state.ids];
  const slides = await watched(getSlides(ids));
  const there = new Set(slides.map(({ ImageID }) => ImageID));
  storeSlides(slides);
  drop(ids.filter((id) => !there.has(id)));
}

/**
 * @param {Page<Slide>} page
 * @returns {string[]} without deleted slides, unless the filter asks for them
 */
function accepted({ items }) {
  storeSlides(items);
  return items.filter(isListed).map(({ ImageID }) => ImageID);
}

/**
 * @param {Slide} slide
 * @returns {boolean}
 */
function isListed({ Status }) {
  return Status !== "DELETED" || state.search.status === "DELETED";
}

/** @param {string[]} ids */
function drop(ids) {
  const gone = new Set(ids);
  const left = state.ids.filter((id) => !gone.has(id));
  if (left.length === state.ids.length) return;
  state.ids = left;
  changed();
}

function changed() {
  for (const listener of listeners) listener();
}

const lookForNewSoon = debounced(NEWS_PAUSE_MS, () => lookForNew().catch(() => {}));

// A slide that no longer matches the filter stays until the next search: rows must not jump during review.
onSlide((slide) => {
  if (!state.loaded) return;
  if (!isListed(slide)) drop([slide.ImageID]);
  else if (!state.ids.includes(slide.ImageID) && [null, slide.Status].includes(state.search.status)) lookForNewSoon();
});
