// Loads OpenSeadragon on first use: the list does without its 350 kB.
import { loadScript } from "../shared/script.js";

/** @typedef {typeof import("openseadragon")} Library */

const SCRIPT = "/vendor/openseadragon-6.1.1.min.js";

/** @returns {Promise<Library>} rejects where it is not installed; may then be tried again */
export async function loadOpenSeadragon() {
  // It adds an inline style, which the page's CSP forbids, unless something like this is there (see viewer.css).
  const mark = "data-openseadragon-mobile-css";
  if (!document.querySelector(`[${mark}]`)) {
    const style = document.createElementNS(null, "style");
    style.setAttribute(mark, "");
    document.head.append(style);
  }
  try {
    return await loadScript(SCRIPT, "OpenSeadragon");
  } catch {
    throw new Error("OpenSeadragon is not installed: run scripts/web, then reload this page.");
  }
}
