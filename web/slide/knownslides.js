// What this page knows of slides: one truth for the table and the viewer.

/** @import {Slide, SlideNews} from "../server/types.js" */

// What is not told to all subscribers is known from before, or not yet.
const UNTOLD = { LabelURL: null, PublishedAs: null, Predecessor: null, GoesAt: null };

/** @type {Map<string, Slide>} */
const known = new Map();
/** @type {((slide: Slide) => void)[]} */
const listeners = [];

/** @param {(slide: Slide) => void} listener told of every slide that is new or has changed */
export function onSlide(listener) {
  listeners.push(listener);
}

/**
 * @param {string} id
 * @returns {Slide | undefined}
 */
export function knownSlide(id) {
  return known.get(id);
}

/** @param {(Slide | SlideNews)[]} slides */
export function storeSlides(slides) {
  for (const news of slides) {
    const before = known.get(news.ImageID);
    const slide = { ...UNTOLD, ...before, ...news };
    slide.LabelURL ??= before?.LabelURL ?? null; // what this person may see does not change with the slide
    // Answers and messages overtake each other: an older version is no news.
    if (before && (before.Version ?? 0) > (slide.Version ?? 0)) continue;
    if (before && JSON.stringify(before) === JSON.stringify(slide)) continue;
    known.set(slide.ImageID, slide);
    for (const listener of listeners) listener(slide);
  }
}
