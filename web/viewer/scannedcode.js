// Finds the slide whose code was scanned, and shows it: in the list as the current row, in the viewer opened.
import { searchOnly } from "../list/filters.js";
import { results } from "../list/results.js";
import { clearSelection } from "../list/selection.js";
import { focusRow } from "../list/table.js";
import { searchSlides } from "../server/api.js";
import { plain } from "../shared/format.js";
import { watched } from "../shared/health.js";
import { notify, notifyFailure } from "../shared/notices.js";
import { currentPlace } from "../shared/shortcuts.js";
import { text } from "../shared/settings.js";
import { storeSlides } from "../slide/knownslides.js";
import { activeId } from "./panes.js";

/** @import {Slide} from "../server/types.js" */

const MOST = 100; // slides of one case
const LONGEST_WAIT_MS = 10_000;

/**
 * @param {string} scanned as the scanner typed it
 * @param {(ids: string[]) => void} view opens slides in the viewer
 */
export async function showScanned(scanned, view) {
  for (const dialog of document.querySelectorAll("dialog")) dialog.close("");
  const code = withoutAffixes(scanned);
  try {
    const found = await answeredWithin(LONGEST_WAIT_MS, watched(slidesWith(code)));
    if (found.length === 0) notifyFailure(`No slide has the code ${plain(code)}.`);
    else if (found.length === 1) await showOne(found[0], code, view);
    else await showAll(found, code);
  } catch (error) {
    notifyFailure(`${plain(code)} was not looked up – ${error instanceof Error ? error.message : error}`);
  }
}

/** @param {string[]} keys */
export function showIgnored(keys) {
  notify(`Ignored: ${plain(keys.join(" "))} – too fast for single keys, too short for a barcode.`);
}

/** @param {string} code that is looked up */
export function showRefused(code) {
  notify(`Still looking for ${plain(code)}: the key was ignored.`);
}

/**
 * @param {string} scanned
 * @returns {string} without what this scanner is set to send before and after each code
 */
function withoutAffixes(scanned) {
  const [before, after] = [text("scanPrefix"), text("scanSuffix")];
  const from = before && scanned.startsWith(before) ? before.length : 0;
  const to = after && scanned.endsWith(after) ? scanned.length - after.length : scanned.length;
  return scanned.slice(from, Math.max(from, to)).trim();
}

/**
 * @param {string} code
 * @returns {Promise<Slide[]>} with this barcode or slide ID; without any, those of the case
 */
async function slidesWith(code) {
  if (code === "") return [];
  const { items } = await searchSlides({ text: code, status: null, scanDateFrom: null, duplicates: null }, MOST, null);
  const present = items.filter(({ Status }) => Status !== "DELETED");
  storeSlides(present);
  const same = (/** @type {string | null} */ other) => other?.toLowerCase() === code.toLowerCase(); // scanners may not send Shift
  const own = present.filter(({ Barcode, SlideID }) => same(Barcode) || same(SlideID));
  return own.length > 0 ? own : present.filter(({ CaseID }) => same(CaseID));
}

/**
 * @param {Slide} slide
 * @param {string} code
 * @param {(ids: string[]) => void} view
 */
async function showOne({ ImageID }, code, view) {
  clearSelection(); // the next key is meant for the scanned slide alone
  if (currentPlace() === "viewer") {
    view([ImageID]);
    await isActive(ImageID);
    return;
  }
  if (!results().ids.includes(ImageID)) await searchOnly(code);
  focusRow(ImageID, "center");
}

/**
 * @param {Slide[]} slides
 * @param {string} code
 */
async function showAll(slides, code) {
  clearSelection();
  location.hash = "";
  await searchOnly(code);
  const first = results().ids.find((id) => slides.some(({ ImageID }) => ImageID === id));
  focusRow(first ?? null, "center");
  notify(`${slides.length} slides have the code ${plain(code)}.`);
}

/**
 * Waits until the viewer shows a slide: until then, keys would act on the one before.
 * @param {string} id
 */
async function isActive(id) {
  const until = performance.now() + LONGEST_WAIT_MS;
  while (activeId() !== id && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 10));
}

/**
 * @template T
 * @param {number} ms
 * @param {Promise<T>} answer
 * @returns {Promise<T>}
 */
function answeredWithin(ms, answer) {
  const late = new Promise((/** @type {(value: never) => void} */ _, reject) => setTimeout(() => reject(new Error("the server does not answer")), ms));
  return Promise.race([answer, late]);
}
