// What this page knows of slides: one truth for the table and the viewer.

/** @import {Slide} from "../server/types.js" */

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

/** @param {Slide[]} slides */
export function learn(slides) {
  for (const news of slides) {
    const before = known.get(news.ImageID);
    // A notice that goes to all subscribers names no label: what this person may see does not change with it.
    const slide = { ...news, LabelURL: news.LabelURL ?? before?.LabelURL ?? null };
    // Answers and messages overtake each other: an older version is no news.
    if (before && (before.Version ?? 0) > (slide.Version ?? 0)) continue;
    if (before && JSON.stringify(before) === JSON.stringify(slide)) continue;
    known.set(slide.ImageID, slide);
    for (const listener of listeners) listener(slide);
  }
}
