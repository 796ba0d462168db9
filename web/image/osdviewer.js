// Creates one OpenSeadragon on one element, and opens slides in it.
import { MAGNIFICATIONS } from "./magnifications.js";
import { snapPixels } from "./pixelsnap.js";
import { isWhole, itemOf, setView } from "./viewport.js";

/** @import {Descriptor} from "./descriptor.js" */
/** @import {Library} from "./openseadragon.js" */
/** @import {View} from "./viewport.js" */
/** @typedef {import("openseadragon").Viewer} Viewer */

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
    keyboardNavEnabled: false, // the page's own keys do it, so that the help lists all keys
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
    tileRetryMax: 3, // so that a restart of the server leaves no holes
    tileRetryDelay: 2000,
  });
  keepWhole(viewer);
  snapPixels(viewer);
  viewer.canvas.tabIndex = -1; // its own stop for Tab would do nothing that the page's keys do not
  return viewer;
}

/**
 * Keeps showing the whole slide when the window is resized.
 * @param {Viewer} viewer
 */
function keepWhole(viewer) {
  let whole = true;
  for (const event of /** @type {const} */ (["zoom", "pan", "rotate"])) {
    viewer.addHandler(event, () => (whole = !itemOf(viewer) || isWhole(viewer)));
  }
  viewer.addHandler("resize", () => {
    // After OpenSeadragon has restored zoom and centre.
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
 * Limits zooming out to the whole slide or the lowest magnification, whichever is smaller.
 * @param {Viewer} viewer
 * @param {number | null} native
 */
function allowLowestStep(viewer, native) {
  const { viewport } = viewer;
  const whole = viewport.getHomeZoom() * 0.9;
  const lowest = native === null ? whole : itemOf(viewer).imageToViewportZoom(MAGNIFICATIONS[0] / native);
  Reflect.set(viewport, "minZoomLevel", Math.min(whole, lowest));
}
