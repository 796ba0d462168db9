// Receives live updates of slides. They omit the published name and the label, which are fetched after them.
import { mayChange } from "../login/currentuser.js";
import { getSlides } from "../server/api.js";
import { debounced } from "../shared/element.js";
import { watched } from "../shared/health.js";
import { knownSlide, storeSlides } from "./knownslides.js";

/** @import {Slide, SlideNews} from "../server/types.js" */

const PAUSE_MS = 200;

/** @type {Set<string>} */
let incomplete = new Set();

/** @param {SlideNews} news */
export function receiveUpdate(news) {
  const before = knownSlide(news.ImageID);
  storeSlides([news]);
  if (!mayChange() || !isIncomplete(before, news)) return;
  incomplete.add(news.ImageID);
  completeLater();
}

/**
 * @param {Slide | undefined} before
 * @param {SlideNews} news
 * @returns {boolean} whether its published name may have changed, or its label is visible again
 */
function isIncomplete(before, news) {
  const isBack = before?.Status === "DELETED" && news.Status !== "DELETED";
  return isBack || Boolean(before?.PublishedAs) || [before?.Status, news.Status].includes("PUBLISHED");
}

const completeLater = debounced(PAUSE_MS, async () => {
  const ids = [...incomplete];
  incomplete = new Set();
  storeSlides(await watched(getSlides(ids)).catch(() => [])); // the next update or refresh fetches them
});
