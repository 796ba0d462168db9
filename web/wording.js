// How records read on the page.
import { element } from "./element.js";

/** @typedef {{Filename: string, Size: number, State: string, Error?: string}} Import */

/** @type {Record<string, string>} */
const STATES = { TRANSFERRING: "Transferring", IMPORTING: "Importing", FAILED: "Failed" };

/**
 * @param {number} bytes
 * @returns {string}
 */
export function sizeOf(bytes) {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/**
 * The time that the scanner's clock showed, not the reader's: it is what stands in the laboratory's books.
 * @param {import("./slides.js").Slide} slide
 * @returns {[time: string, zone?: string]}
 */
export function scanTime({ ScanDate, TimeZone }) {
  const parts = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)/.exec(ScanDate ?? "");
  if (!parts) return [ScanDate ?? "–"];
  return [`${parts[1]} ${parts[2]}`, TimeZone === "local" ? "scanner's local time" : TimeZone];
}

/**
 * @param {Import} record
 * @returns {HTMLLIElement}
 */
export function importItem({ Filename, Size, State, Error: reason }) {
  const state = element("span", { className: "status" }, STATES[State] ?? State);
  state.dataset.status = State;
  const details = State === "FAILED" ? reason ?? "no reason given" : sizeOf(Size);
  return element("li", {}, state, element("b", {}, Filename), element("span", {}, details));
}
