// The viewer: opens the slides that the address names, and carries out the commands of its bars and keys.
import { isMeant, mark, notifyUnseen, remove } from "../editing/commands.js";
import { editText, waitingDraft } from "../editing/fieldeditor.js";
import { preload } from "../image/descriptor.js";
import { loadOpenSeadragon } from "../image/openseadragon.js";
import { loadMore, onResults, results } from "../list/results.js";
import { setCurrent } from "../list/selection.js";
import { imagesAreOpen } from "../login/images.js";
import { getSlides } from "../server/api.js";
import { byId } from "../shared/element.js";
import { onHealth, watched } from "../shared/health.js";
import { openKeyHelp } from "../shared/keyhelp.js";
import { notify, notifyFailure } from "../shared/notices.js";
import { choose, flip, setting } from "../shared/settings.js";
import { nameOf } from "../slide/display.js";
import { knownSlide, onSlide, storeSlides } from "../slide/knownslides.js";
import { isJudgement } from "../slide/statuses.js";
import { formatLink, parseLink } from "./link.js";
import { activeId, activePane, arrange, forEachPane, hasRoom, isBeside, linkNow, onPanes, openLink, opened, reopenFailed, stages } from "./panes.js";
import { makeTabs } from "./tabs.js";
import { makeTitleBar, makeToolBar } from "./toolbars.js";

/** @import {Field} from "../server/types.js" */
/** @import {Beginning, Way} from "../editing/fieldeditor.js" */
/** @import {Acts} from "./toolbars.js" */
/** @import {Library} from "../image/openseadragon.js" */
/** @import {Link} from "./link.js" */

/** @type {Library} */
let loaded;
let isOpen = false;
let isMeasuring = false;
let preloaded = "";

/** @type {Acts} */
export const acts = {
  leave: () => (location.hash = ""),
  go,
  mark: markActive,
  markSeen,
  remove: removeActive,
  edit,
  zoomToStep: (step) => activePane()?.zoomToStep(step),
  zoomBy: (factor) => activePane()?.zoomBy(factor),
  whole: () => activePane()?.showWhole(),
  turn: (degrees) => activePane()?.turnBy(degrees),
  toggleRuler: () => measure(!isMeasuring),
  toggleLabel,
  toggleNavigator,
  toggleLayout,
  otherPane,
  addBeside,
  close: closeActive,
  copyLink,
  help: openKeyHelp,
};
const title = makeTitleBar(acts);
const tools = makeToolBar(acts);
const tabs = makeTabs((active) => arrange(loaded, { active }));

export function startViewer() {
  byId("viewer").append(title.bar, tabs.bar, stages, tools.bar);
  onPanes(show);
  onResults(show);
  onSlide((slide) => {
    if (!isOpen) return;
    forEachPane((pane, id) => id === slide.ImageID && pane.showFacts(slide));
    show();
  });
  onHealth((health) => isOpen && (health === "live" || health === "polling") && reopenFailed());
}

/** @param {Link} link */
export async function openViewer(link) {
  isOpen = true;
  byId("viewer").hidden = false;
  byId("viewer").focus();
  try {
    const unknown = link.open.map(({ id }) => id).filter((id) => !knownSlide(id));
    const asked = unknown.length > 0 ? watched(getSlides(unknown)) : [];
    const [found, slides] = await Promise.all([loadOpenSeadragon(), asked, imagesAreOpen()]);
    loaded = found;
    storeSlides(slides);
    if (!isOpen) return;
    openLink(loaded, link);
    const draft = waitingDraft();
    if (draft?.id === activeId()) edit(draft.field);
  } catch (error) {
    notifyFailure(`The viewer cannot be opened: ${error instanceof Error ? error.message : error}`);
  }
}

export function closeViewer() {
  if (!isOpen) return;
  isOpen = false;
  const id = activeId();
  measure(false);
  if (loaded) arrange(loaded, { open: [], active: 0 });
  byId("viewer").hidden = true;
  if (results().ids.includes(id)) setCurrent(id);
}

/** Updates bars, tabs and address. */
function show() {
  if (!isOpen || opened().open.length === 0) return;
  const { open, active, side } = opened();
  const id = activeId();
  const slide = knownSlide(id) ?? null;
  const { ids, nextToken } = results();
  const at = ids.indexOf(id);
  const place = at < 0 ? "not in the list" : `${at + 1} of ${ids.length}${nextToken ? "+" : ""}`;
  title.show({ slide, id, place, canGo: (by) => neighbour(by) !== null });
  tools.show(slide, activePane()?.zoom() ?? null, { several: open.length > 1, side, ruler: isMeasuring, room: hasRoom() && neighbour(1) !== null });
  tabs.show(open, active, open.length > 1 && !isBeside());
  forEachPane((pane) => pane.root.classList.toggle("active", isBeside() && pane === activePane()));
  document.title = slide ? nameOf(slide) : id;
  // Not after the viewer was left: the address changes first, and the event follows later.
  if (parseLink(location.hash)) history.replaceState(null, "", formatLink(linkNow()));
  prepareNext();
}

/**
 * @param {number} by
 * @returns {string | null}
 */
function neighbour(by) {
  const { ids } = results();
  const at = ids.indexOf(activeId());
  return at < 0 ? null : ids[at + by] ?? null;
}

/** Preloads the next slide once this one is open. */
function prepareNext() {
  const pane = activePane();
  const next = knownSlide(neighbour(1) ?? "");
  if (!pane?.isOpen() || !next || preloaded === next.ImageID) return;
  preloaded = next.ImageID;
  preload(next, pane.size());
  if (next.ImageID === results().ids.at(-1)) loadMore().catch(() => {});
}

/** @param {number} by */
function go(by) {
  const id = neighbour(by);
  if (id === null) return notify(by > 0 ? "This is the last slide in the list." : "This is the first slide in the list.");
  const open = [...opened().open];
  open[opened().active] = id;
  arrange(loaded, { open });
}

/** @param {string} status */
function markSeen(status) {
  const slide = knownSlide(activeId());
  if (slide && isJudgement(status) && !activePane()?.hasShown()) notifyUnseen([slide], status);
  else markActive(status);
}

/** @param {string} status */
async function markActive(status) {
  const slide = knownSlide(activeId());
  if (!slide || !(await isMeant([slide], status))) return;
  mark([slide], status);
  if (setting("goOn") && neighbour(1) !== null) go(1);
}

async function removeActive() {
  const slide = knownSlide(activeId());
  const next = neighbour(1) ?? neighbour(-1);
  if (!slide || !(await remove([slide]))) return;
  const open = opened().open.flatMap((id) => (id === slide.ImageID ? (next ?? []) : id));
  if (open.length > 0) arrange(loaded, { open });
  else acts.leave();
}

/**
 * @param {Field} field
 * @param {Beginning | null} [beginning]
 */
function edit(field, beginning = null) {
  const slide = knownSlide(activeId());
  const host = title.hosts.find(({ dataset }) => dataset.field === field);
  if (!slide || !host || host.dataset.editing) return;
  const hadLabel = setting("label");
  if (!hadLabel) toggleLabel(); // the ID is read from it
  const closed = (/** @type {Way} */ way, /** @type {Beginning | null} */ next) => {
    if (!hadLabel && setting("label")) toggleLabel();
    show();
    if (way === "next" && field === "SlideID") edit("CaseID", next);
    else if (way === "previous" && field === "CaseID") edit("SlideID", next);
    else if (next !== null) edit(field, next);
    else if (way !== "left") byId("viewer").focus();
  };
  editText(host, slide, field, closed, beginning);
}

/** @param {boolean} on */
function measure(on) {
  isMeasuring = on;
  forEachPane((pane) => {
    pane.ruler.setOn(on);
    if (!on) pane.ruler.clear();
  });
  show();
}

/** @returns {boolean} whether the ruler was on */
export function hideRuler() {
  if (!isMeasuring) return false;
  measure(false);
  return true;
}

/** @returns {boolean} */
export function isRulerOn() {
  return isMeasuring;
}

function toggleLabel() {
  flip("label");
  forEachPane((pane) => pane.showLabel());
  show();
}

function toggleNavigator() {
  const isShown = flip("navigator");
  forEachPane((pane) => pane.showNavigator(isShown));
  show();
}

function toggleLayout() {
  if (opened().open.length < 2) return;
  choose("sideBySide", !opened().side);
  arrange(loaded, { side: !opened().side });
  measure(isMeasuring);
}

/** @param {number} by */
function otherPane(by) {
  const { open, active } = opened();
  arrange(loaded, { active: (active + by + open.length) % open.length });
}

function addBeside() {
  const next = neighbour(1);
  if (next === null || !hasRoom()) return;
  arrange(loaded, { open: [...opened().open, next], active: opened().open.length });
  measure(isMeasuring);
}

function closeActive() {
  const { open, active } = opened();
  if (open.length < 2) acts.leave();
  else arrange(loaded, { open: open.filter((_, at) => at !== active) });
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    notify("Link to this view copied.");
  } catch {
    notify("The clipboard is not available. Copy the page's address instead: it links to this view."); // the browser denies access to the clipboard
  }
}
