// Aligns the pixels of the slide with those of the screen, at native magnification when the view stands still.
import { viewOf } from "./viewport.js";

/** @typedef {import("openseadragon").Viewer} Viewer */

// OpenSeadragon draws tiles without overlap one pixel larger than they are, so that no gaps shine through at odd
// magnifications. Where pixels match there are no gaps, and the enlargement would only blur: an overlap, however small,
// ends it.
const HARDLY_ANY = Number.MIN_VALUE;

/** @param {Viewer} viewer */
export function snapPixels(viewer) {
  const item = () => viewer.world?.getItemAt(0);
  const overlapBy = (/** @type {number} */ overlap) => {
    const source = item()?.source;
    if (source && source.tileOverlap < 1) source.tileOverlap = overlap;
  };
  const align = () => {
    const place = item() ? alignedCenter(viewer) : null;
    if (!place) return;
    viewer.viewport.panTo(item().imageToViewportCoordinates(place.x, place.y), true);
    overlapBy(HARDLY_ANY);
    Reflect.set(item(), "_needsUpdate", true); // tiles are redrawn even where nothing moved
  };
  for (const event of /** @type {const} */ (["zoom", "pan", "rotate"])) viewer.addHandler(event, () => overlapBy(0));
  for (const event of /** @type {const} */ (["animation-finish", "open", "after-resize"])) {
    viewer.addHandler(event, () => queueMicrotask(align)); // after what the event itself sets off
  }
}

/**
 * @param {Viewer} viewer
 * @returns {{x: number, y: number} | null} the nearest centre at which the pixels align; null where none does
 */
function alignedCenter(viewer) {
  const view = viewOf(viewer);
  if (!view || Math.abs(view.zoom - 1) > 1e-6 || view.rotation % 90 !== 0) return null;
  const { x: width, y: height } = viewer.viewport.getContainerSize();
  const [across, down] = view.rotation % 180 === 0 ? [width, height] : [height, width];
  const aligned = (/** @type {number} */ centre, /** @type {number} */ length) => Math.round(centre - length / 2) + length / 2;
  return { x: aligned(view.x, across), y: aligned(view.y, down) };
}
