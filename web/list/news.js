// What is told of a slide as soon as it changes: the same to everybody. Its published name is not among it, and asked for.
import { mayChange } from "../login/person.js";
import { getSlides } from "../server/api.js";
import { watched } from "../server/health.js";
import { debounced } from "../shared/element.js";
import { knownSlide, learn } from "./slides.js";

/** @import {SlideNews} from "../server/types.js" */

const PAUSE_MS = 200;

/** @type {Set<string>} */
let incomplete = new Set();

/** @param {SlideNews} news */
export function hear(news) {
  const before = knownSlide(news.ImageID);
  learn([news]);
  if (!mayChange() || !(before?.PublishedAs || [before?.Status, news.Status].includes("PUBLISHED"))) return;
  incomplete.add(news.ImageID);
  completeSoon();
}

const completeSoon = debounced(PAUSE_MS, async () => {
  const ids = [...incomplete];
  incomplete = new Set();
  learn(await watched(getSlides(ids)).catch(() => [])); // the next change, or a look at the list, tells it
});
