// The slides that this page has loaded: the one store that list and viewer share.

/** @import {Slide, SlideNews} from "../server/types.js" */

// Fields that live updates omit: kept from before, or unknown.
const UNTOLD = { LabelURL: null, PublishedAs: null, Predecessor: null, GoesAt: null };

/** @type {Map<string, Slide>} */
const known = new Map();
/** @type {((slide: Slide) => void)[]} */
const listeners = [];

/** @param {(slide: Slide) => void} listener called for each slide that is new or has changed */
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
    slide.LabelURL ??= before?.LabelURL ?? null; // permission to see the label does not change with the slide
    // Answers and messages can arrive out of order: older versions are ignored.
    if (before && (before.Version ?? 0) > (slide.Version ?? 0)) continue;
    if (before && JSON.stringify(before) === JSON.stringify(slide)) continue;
    known.set(slide.ImageID, slide);
    for (const listener of listeners) listener(slide);
  }
}
