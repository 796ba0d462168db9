// The list of slides: asks the server every few seconds and changes only what has changed.
import { byId, element, slideImage } from "./element.js";
import { importItem, scanTime, sizeOf } from "./wording.js";
import { closeViewer, openViewer } from "./viewer.js";

/**
 * @typedef {object} Slide a record as the server gives it; what it does not know is absent
 * @property {string} ImageID
 * @property {string} Filename
 * @property {string} Status
 * @property {string} lastModified
 * @property {number} width
 * @property {number} height
 * @property {number} FileSize
 * @property {string} [SlideID]
 * @property {string} [CaseID]
 * @property {string} [ScanDate]
 * @property {string} [TimeZone]
 * @property {string} [AppMag]
 * @property {number} [MPP]
 * @property {string} [Barcode]
 */
/** @typedef {{slide: Slide, json: string, row: HTMLTableRowElement}} Shown */

const POLL_MS = 3000;
const VIEW = "#/view/";

/** @type {Map<string, Shown>} */
let shown = new Map();
let pages = 1; // how many pages the reader has asked for
let asking = false;
let lastAnswer = "";
/** @type {string | null} */
let viewed = null;

/**
 * @param {string} address
 * @returns {Promise<any>}
 */
async function ask(address) {
  const response = await fetch(address, { cache: "no-cache", signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return response.json();
}

async function refresh() {
  if (asking || viewed !== null || document.hidden) return;
  asking = true;
  try {
    const imports = ask("/imports?limit=100");
    imports.catch(() => {}); // awaited below; this keeps a failure of both from being reported twice
    const [slides, more] = await askSlides();
    showImports((await imports).items);
    showSlides(slides, more);
    lastAnswer = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    byId("offline").hidden = true;
  } catch (error) {
    console.warn(error);
    showOffline();
  } finally {
    asking = false;
  }
}

/** @returns {Promise<[Slide[], boolean]>} every page asked for, and whether there are more */
async function askSlides() {
  const slides = [];
  let token = null;
  for (let page = 0; page < pages; page++) {
    const next = token === null ? "" : `&nextToken=${encodeURIComponent(token)}`;
    const answer = await ask(`/slides?limit=100${next}`);
    slides.push(...answer.items);
    token = answer.nextToken ?? null;
    if (token === null) break;
  }
  return [slides, token !== null];
}

function showOffline() {
  const since = lastAnswer && ` The list is as it was at ${lastAnswer}.`;
  const text = `The server does not answer.${since} Trying again every few seconds.`;
  if (byId("offline").textContent !== text) byId("offline").textContent = text;
  byId("offline").hidden = false;
  byId("loading").hidden = true;
}

/**
 * @param {Slide[]} slides
 * @param {boolean} more
 */
function showSlides(slides, more) {
  const before = shown;
  shown = new Map(slides.map((slide) => [slide.ImageID, shownSlide(slide, before.get(slide.ImageID))]));
  for (const [id, { row }] of before) if (!shown.has(id)) row.remove();
  const body = byId("rows");
  let place = 0;
  for (const { row } of shown.values()) {
    // A row that stays where it is is not touched: it keeps its focus, and the page its scroll position.
    if (body.children[place] !== row) body.insertBefore(row, body.children[place] ?? null);
    place++;
  }
  byId("slides").hidden = byId("keys").hidden = shown.size === 0;
  byId("empty").hidden = shown.size > 0;
  byId("loading").hidden = true;
  byId("more").hidden = !more;
  byId("count").textContent = shown.size === 0 ? "" : `${shown.size}${more ? " of more" : ""}`;
}

/**
 * @param {Slide} slide
 * @param {Shown | undefined} before
 * @returns {Shown}
 */
function shownSlide(slide, before) {
  const json = JSON.stringify(slide);
  if (before?.json === json) return before;
  const row = before?.row ?? newRow(slide.ImageID);
  const images = [...row.cells].slice(0, 2);
  // Pictures keep their address, so only those that were missing are asked for again.
  images.forEach((cell, at) => cell.querySelector("img") ?? cell.replaceChildren(picture(slide, at)));
  row.replaceChildren(...images, ...cells(slide));
  return { slide, json, row };
}

/**
 * @param {string} id
 * @returns {HTMLTableRowElement}
 */
function newRow(id) {
  const row = element("tr", { tabIndex: 0 }, element("td"), element("td"));
  row.addEventListener("keydown", (event) => {
    const neighbour = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
    if (event.key === "Enter") location.hash = VIEW + encodeURIComponent(id);
    else if (neighbour instanceof HTMLElement) neighbour.focus();
    else return;
    event.preventDefault();
  });
  return row;
}

/**
 * @param {Slide} slide
 * @param {number} at 0: label, 1: thumbnail, which is the way into the viewer
 * @returns {HTMLElement}
 */
function picture(slide, at) {
  const name = slide.SlideID ?? slide.ImageID;
  if (at === 0) return slideImage(slide.ImageID, "label", `Label of slide ${name}`);
  const href = VIEW + encodeURIComponent(slide.ImageID);
  const image = slideImage(slide.ImageID, "thumbnail", `Thumbnail of slide ${name}`);
  return element("a", { href, tabIndex: -1, ariaLabel: `View slide ${name}` }, image);
}

/**
 * @param {Slide} slide
 * @returns {HTMLTableCellElement[]}
 */
function cells(slide) {
  const status = element("span", { className: "status" }, slide.Status);
  status.dataset.status = slide.Status;
  const [scanned, zone] = scanTime(slide);
  return [
    cell(slide.ImageID),
    cell(slide.SlideID ?? "–", slide.CaseID && `Case ${slide.CaseID}`),
    slide.Barcode ? cell(slide.Barcode) : cell("", "not read"),
    element("td", {}, status),
    cell(scanned, zone),
    cell(slide.AppMag ? `${slide.AppMag}×` : "–"),
    cell(slide.MPP ? slide.MPP.toFixed(4) : "–", slide.MPP && "µm/px"),
    cell(`${slide.width} × ${slide.height}`),
    cell(slide.Filename, sizeOf(slide.FileSize)),
  ].map((made, at) => Object.assign(made, at >= 5 && at <= 7 ? { className: "number" } : {}));
}

/**
 * @param {string} text
 * @param {string | number} [hint]
 * @returns {HTMLTableCellElement}
 */
function cell(text, hint) {
  return element("td", {}, text, ...(hint ? [element("small", {}, String(hint))] : []));
}

/** @param {import("./wording.js").Import[]} imports */
function showImports(imports) {
  const open = imports.filter(({ State }) => State !== "READY");
  const list = byId("import-list");
  byId("imports").hidden = open.length === 0;
  if (list.dataset.shown === JSON.stringify(open)) return; // a screen reader hears changes only
  list.dataset.shown = JSON.stringify(open);
  const failed = open.filter(({ State }) => State === "FAILED").length;
  const counts = [open.length - failed && `${open.length - failed} in progress`, failed && `${failed} failed`];
  byId("imports-title").textContent = `Imports: ${counts.filter(Boolean).join(", ")}`;
  list.replaceChildren(...open.map(importItem));
}

/** @returns {string | null} the ID in the page's address */
function wantedSlide() {
  try {
    return location.hash.startsWith(VIEW) ? decodeURIComponent(location.hash.slice(VIEW.length)) : null;
  } catch {
    return null; // a mangled address: the list
  }
}

async function route() {
  const id = wantedSlide();
  if (id === viewed) return;
  const left = viewed;
  viewed = id;
  byId("list").inert = id !== null;
  document.body.classList.toggle("viewing", id !== null);
  closeViewer();
  if (id === null) {
    document.title = "Slides";
    shown.get(left ?? "")?.row.focus({ preventScroll: true });
    refresh();
    return;
  }
  document.title = id;
  const slide = shown.get(id)?.slide ?? (await ask(`/slides/${encodeURIComponent(id)}`).catch(() => ({ ImageID: id })));
  if (viewed === id) openViewer(slide);
}

byId("more").addEventListener("click", () => {
  pages++;
  refresh();
});
document.addEventListener("visibilitychange", refresh);
window.addEventListener("hashchange", route);
setInterval(refresh, POLL_MS);
route();
refresh();
