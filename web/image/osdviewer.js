// One OpenSeadragon on one element, spoken to in pixels of the slide and of the screen.
import { STEPS } from "./magnifications.js";
import { keepSharp } from "./pixelsnap.js";

/** @import {Descriptor} from "./descriptor.js" */
/** @import {Library} from "./openseadragon.js" */
/** @import {View} from "../viewer/link.js" */
/** @typedef {import("openseadragon").Viewer} Viewer */
/** @typedef {import("./ruler.js").Point} Point */

const MOST_ENLARGED = 2; // beyond native, where a pixel of the slide is four of the screen

/**
 * @param {Library} library
 * @param {HTMLElement} element
 * @param {boolean} showNavigator
 * @returns {Viewer}
 */
export function makeViewer(library, element, showNavigator) {
  const viewer = library({
    element,
    drawer: "canvas", // runs everywhere, remote desktops included, and needs no worker, which the page's CSP forbids
    showNavigationControl: false,
    keyboardNavEnabled: false, // the page's own keys do it, so that the sheet of keys is true
    showNavigator,
    navigatorAutoFade: false,
    navigatorPosition: "TOP_RIGHT",
    navigatorSizeRatio: 0.16,
    navigatorMaintainSizeRatio: true,
    navigatorOpacity: 1,
    navigatorBackground: "#24282c",
    navigatorDisplayRegionColor: "#ffd54a",
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true, flickEnabled: false },
    preserveImageSizeOnResize: true, // a magnification stays what it is
    animationTime: 0.35,
    springStiffness: 9,
    zoomPerScroll: 1.3,
    maxZoomPixelRatio: MOST_ENLARGED,
    visibilityRatio: 0.3,
    imageLoaderLimit: 12,
    maxImageCacheCount: 600,
    tileRetryMax: 3, // a restart of the server leaves no holes
    tileRetryDelay: 2000,
  });
  keepWhole(viewer);
  keepSharp(viewer);
  viewer.canvas.tabIndex = -1; // its own stop for Tab would do nothing that the page's keys do not
  return viewer;
}

/**
 * Whoever looks at the whole slide goes on doing so when the window changes its size.
 * @param {Viewer} viewer
 */
function keepWhole(viewer) {
  let whole = true;
  for (const event of /** @type {const} */ (["zoom", "pan", "rotate"])) {
    viewer.addHandler(event, () => (whole = !itemOf(viewer) || isWhole(viewer)));
  }
  viewer.addHandler("resize", () => {
    // OpenSeadragon goes on to restore zoom and centre; what counts is said after that.
    if (whole && itemOf(viewer)) queueMicrotask(() => viewer.viewport?.goHome(true));
  });
}

/**
 * @param {Viewer} viewer
 * @param {Descriptor} image
 * @param {View | null} view null: the whole slide
 * @param {number | null} native magnification
 * @returns {Promise<void>} when it is open; rejects where it cannot be
 */
export function openImage(viewer, image, view, native) {
  return new Promise((resolve, reject) => {
    viewer.addOnceHandler("open", () => {
      allowLowestStep(viewer, native);
      if (view) setView(viewer, view);
      else viewer.viewport.setRotation(0, true);
      resolve();
    });
    viewer.addOnceHandler("open-failed", () => reject(new Error("it could not be opened")));
    const { Size, ...rest } = image;
    viewer.open(/** @type {any} */ ({ Image: { xmlns: "http://schemas.microsoft.com/deepzoom/2008", ...rest, Size } }));
  });
}

/**
 * Zooming out ends at the whole slide, but the lowest magnification can always be had.
 * @param {Viewer} viewer
 * @param {number | null} native
 */
function allowLowestStep(viewer, native) {
  const { viewport } = viewer;
  const whole = viewport.getHomeZoom() * 0.9;
  const lowest = native === null ? whole : itemOf(viewer).imageToViewportZoom(STEPS[0] / native);
  Reflect.set(viewport, "minZoomLevel", Math.min(whole, lowest));
}

/** @param {Viewer} viewer */
function itemOf(viewer) {
  return viewer.world.getItemAt(0);
}

/**
 * @param {Viewer} viewer
 * @returns {View | null} where it looks, or is on its way to; null for the whole slide, and where nothing is open
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
function isWhole({ viewport }) {
  const [center, home] = [viewport.getCenter(false), viewport.getHomeBounds().getCenter()];
  const isNear = (/** @type {number} */ a, /** @type {number} */ b) => Math.abs(a - b) < 1e-4;
  const isHome = isNear(viewport.getZoom(false) / viewport.getHomeZoom(), 1);
  return isHome && viewport.getRotation(false) % 360 === 0 && isNear(center.x, home.x) && isNear(center.y, home.y);
}

/**
 * @param {Viewer} viewer
 * @param {View} view
 */
function setView(viewer, { x, y, zoom, rotation }) {
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
