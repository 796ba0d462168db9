// Where a viewer looks, in pixels of the slide and of the screen; and how to move it.

/** @import {Library} from "./openseadragon.js" */
/** @typedef {import("openseadragon").Viewer} Viewer */
/** @typedef {{x: number, y: number}} Point */
/**
 * @typedef {object} View where a viewer looks
 * @property {number} x of the centre, in pixels of the slide at full resolution
 * @property {number} y
 * @property {number} zoom pixels of the screen for one of the slide
 * @property {number} rotation in degrees
 */

/** @param {Viewer} viewer */
export function itemOf(viewer) {
  return viewer.world.getItemAt(0);
}

/**
 * @param {Viewer} viewer
 * @returns {View | null} the view at the end of the current movement; null for the whole slide, and where nothing is open
 */
export function viewOf(viewer) {
  const item = itemOf(viewer);
  if (!item || isWhole(viewer)) return null;
  const { x, y } = item.viewportToImageCoordinates(viewer.viewport.getCenter(false));
  const rotation = ((viewer.viewport.getRotation(false) % 360) + 360) % 360;
  return { x, y, zoom: item.viewportToImageZoom(viewer.viewport.getZoom(false)), rotation };
}

/**
 * @param {Viewer} viewer
 * @returns {boolean} whether it shows the whole slide, which is another view on a stage of another size
 */
export function isWhole({ viewport }) {
  const [center, home] = [viewport.getCenter(false), viewport.getHomeBounds().getCenter()];
  const isNear = (/** @type {number} */ a, /** @type {number} */ b) => Math.abs(a - b) < 1e-4;
  const isHome = isNear(viewport.getZoom(false) / viewport.getHomeZoom(), 1);
  return isHome && viewport.getRotation(false) % 360 === 0 && isNear(center.x, home.x) && isNear(center.y, home.y);
}

/**
 * @param {Viewer} viewer
 * @param {View} view
 */
export function setView(viewer, { x, y, zoom, rotation }) {
  const item = itemOf(viewer);
  viewer.viewport.setRotation(rotation, true);
  viewer.viewport.zoomTo(item.imageToViewportZoom(zoom), undefined, true);
  viewer.viewport.panTo(item.imageToViewportCoordinates(x, y), true);
}

/**
 * @param {Viewer} viewer
 * @returns {number | null} pixels of the screen for one of the slide, at this moment of a movement
 */
export function zoomNow(viewer) {
  return itemOf(viewer)?.viewportToImageZoom(viewer.viewport.getZoom(true)) ?? null;
}

/**
 * @param {Viewer} viewer
 * @param {number} zoom pixels of the screen for one of the slide
 */
export function zoomTo(viewer, zoom) {
  const item = itemOf(viewer);
  if (item) viewer.viewport.zoomTo(item.imageToViewportZoom(zoom));
}

/**
 * @param {Viewer} viewer
 * @param {number} factor
 */
export function zoomBy(viewer, factor) {
  if (itemOf(viewer)) viewer.viewport.zoomBy(factor).applyConstraints();
}

/**
 * @param {Library} library
 * @param {Viewer} viewer
 * @param {Point} by in pixels of the screen
 */
export function panBy(library, viewer, { x, y }) {
  if (itemOf(viewer)) viewer.viewport.panBy(viewer.viewport.deltaPointsFromPixels(new library.Point(x, y))).applyConstraints();
}

/**
 * @param {Viewer} viewer
 * @param {number} degrees
 */
export function turnBy(viewer, degrees) {
  if (itemOf(viewer)) viewer.viewport.rotateBy(degrees);
}

/** @param {Viewer} viewer */
export function showWhole(viewer) {
  if (!itemOf(viewer)) return;
  viewer.viewport.setRotation(0);
  viewer.viewport.goHome();
}

/**
 * @param {Library} library
 * @param {Viewer} viewer
 */
export function placeOn(library, viewer) {
  const point = (/** @type {Point} */ { x, y }) => ({ x, y });
  return {
    toImage: (/** @type {Point} */ { x, y }) =>
      point(itemOf(viewer).viewportToImageCoordinates(viewer.viewport.pointFromPixel(new library.Point(x, y), true))),
    toScreen: (/** @type {Point} */ { x, y }) =>
      point(viewer.viewport.pixelFromPoint(itemOf(viewer).imageToViewportCoordinates(x, y), true)),
  };
}
