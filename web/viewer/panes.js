// The open slides, side by side or as tabs, and the view of each.
import { element } from "../shared/element.js";
import { knownSlide } from "../slide/knownslides.js";
import { makePane } from "./pane.js";

/** @import {Library} from "../image/openseadragon.js" */
/** @import {View} from "../image/viewport.js" */
/** @import {Link} from "./link.js" */
/** @import {Pane} from "./pane.js" */

const MOST_BESIDE = 4; // panes smaller than a quarter of the screen are too small

/** @type {{open: string[], active: number, side: boolean}} */
const state = { open: [], active: 0, side: true };
/** @type {{pane: Pane, id: string | null}[]} */
let panes = [];
/** The last view of each slide, while the page is open. @type {Map<string, View>} */
const views = new Map();
export const stages = element("div", { className: "stages" });
/** @type {() => void} */
let changed = () => {};

/** @param {() => void} listener called on each change and movement */
export function onPanes(listener) {
  changed = listener;
}

/** @returns {Readonly<typeof state>} */
export function opened() {
  return state;
}

/** @returns {string} */
export function activeId() {
  return state.open[state.active];
}

/** @returns {Pane | undefined} */
export function activePane() {
  return panes[isBeside() ? state.active : 0]?.pane;
}

/** @returns {boolean} whether the open slides are shown side by side */
export function isBeside() {
  return state.side && state.open.length <= MOST_BESIDE;
}

/** @returns {boolean} */
export function hasRoom() {
  return !state.side || state.open.length < MOST_BESIDE;
}

/** @returns {Link} */
export function linkNow() {
  const open = state.open.map((id) => ({ id, view: views.get(id) ?? null }));
  return { open, active: state.active, layout: state.side ? "side" : "one" };
}

/**
 * @param {Library} library
 * @param {Link} link
 */
export function openLink(library, { open, active, layout }) {
  for (const { id, view } of open) if (view) views.set(id, view);
  arrange(library, { open: open.map(({ id }) => id), active, side: layout === "side" });
}

/**
 * @param {Library} library
 * @param {Partial<typeof state>} change
 */
export function arrange(library, change) {
  for (const { pane, id } of panes) remember(pane, id);
  Object.assign(state, change);
  state.active = Math.max(0, Math.min(state.active, state.open.length - 1));
  const wanted = isBeside() ? state.open : state.open.slice(state.active, state.active + 1);
  for (const { pane } of panes.splice(wanted.length)) pane.destroy();
  stages.dataset.count = String(wanted.length); // before panes are created: they measure their size
  wanted.forEach((id, at) => {
    const place = panes[at] ?? newPane(library, at);
    if (place.id !== id) show(place, id);
  });
  changed();
}

/** Opens the slides again that could not be opened. */
export function reopenFailed() {
  for (const place of panes) if (place.id !== null && !place.pane.isOpen()) show(place, place.id);
}

/** @param {(pane: Pane, id: string) => void} act */
export function forEachPane(act) {
  for (const { pane, id } of panes) if (id !== null) act(pane, id);
}

/**
 * @param {Library} library
 * @param {number} at
 */
function newPane(library, at) {
  const pane = makePane(library, stages, {
    onActive: () => {
      if (!isBeside() || state.active === at) return;
      state.active = at;
      changed();
    },
    onMoved: () => {
      remember(pane, place.id);
      changed();
    },
    onClose: () => arrange(library, { open: state.open.filter((_, other) => other !== at), active: Math.min(state.active, at) }),
  });
  const place = { pane, id: /** @type {string | null} */ (null) };
  panes.push(place);
  return place;
}

/**
 * @param {{pane: Pane, id: string | null}} place
 * @param {string} id
 */
function show(place, id) {
  place.id = id;
  const slide = knownSlide(id);
  if (slide) place.pane.show(slide, views.get(id) ?? null);
  else place.pane.showAbsent(id);
}

/**
 * @param {Pane} pane
 * @param {string | null} id
 */
function remember(pane, id) {
  if (id === null || !pane.isOpen()) return;
  const view = pane.view();
  if (view) views.set(id, view);
  else views.delete(id);
}
