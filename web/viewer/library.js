// OpenSeadragon, loaded on first use: the list does without its 350 kB.
import { element } from "../shared/element.js";

/** @typedef {typeof import("openseadragon")} Library */

const VENDOR = "/vendor/openseadragon/";
/** @type {Promise<Library> | null} */
let loading = null;

/** @returns {Promise<Library>} rejects where it is not installed; may then be tried again */
export function library() {
  loading ??= load().catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

/** @returns {Promise<Library>} */
function load() {
  // It adds an inline style, which the page's CSP forbids, unless something like this is there (see viewer.css).
  const style = document.createElementNS(null, "style");
  style.setAttribute("data-openseadragon-mobile-css", "");
  const script = element("script", { src: `${VENDOR}openseadragon.min.js` });
  document.head.append(style, script);
  return new Promise((resolve, reject) => {
    script.addEventListener("error", () => reject(new Error("OpenSeadragon is not installed: run scripts/web, then reload this page.")));
    script.addEventListener("load", () => resolve(Reflect.get(globalThis, "OpenSeadragon")));
  });
}
