// The magnifications, as on a microscope's turret.

/** @import {Slide} from "../server/types.js" */

export const MAGNIFICATIONS = [1, 2.5, 5, 10, 20, 40];
const MICROMETRES_AT_1X = 10; // a pixel is 0.25 µm where the slide was scanned at 40×

/**
 * @param {Pick<Slide, "AppMag" | "MPP">} slide
 * @returns {number | null} at which its pixels and the screen's are the same size; null where it is not known
 */
export function nativeMagnification({ AppMag, MPP }) {
  const named = Number.parseFloat(AppMag ?? "");
  if (named > 0) return named;
  return MPP ? MICROMETRES_AT_1X / MPP : null;
}

/**
 * @param {number} step
 * @param {number | null} native
 * @returns {number | null} pixels of the screen for one of the slide; null for what the slide does not hold
 */
export function zoomAt(step, native) {
  // A scanner that writes 39.9 means 40.
  return native === null || step > native * 1.02 ? null : Math.min(1, step / native);
}

/**
 * @param {number} zoom
 * @param {number | null} native
 * @returns {string}
 */
export function magnificationAt(zoom, native) {
  if (native === null) return `${Number((zoom * 100).toPrecision(3))} %`;
  return `${Number((zoom * native).toPrecision(zoom * native < 10 ? 2 : 3))}×`;
}
