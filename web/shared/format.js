// How records read on the page.

/** @import {Import, Slide} from "../server/types.js" */

/** @type {Record<string, string>} */
const STATES = { TRANSFERRING: "Copying", IMPORTING: "Importing", READY: "Ready", FAILED: "Failed" };

/** @type {Record<string, string>} */
export const FIELD_NAMES = { SlideID: "slide ID", CaseID: "case ID", Status: "status", Reviewer: "reviewer", Note: "note" };

/**
 * @param {number | null} bytes
 * @returns {string}
 */
export function sizeOf(bytes) {
  if (bytes === null) return "";
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/**
 * The time that the scanner's clock showed, not the reader's: it is what stands in the laboratory's books.
 * @param {Slide} slide
 * @returns {{date: string, time: string, zone: string}}
 */
export function scanTime({ ScanDate, TimeZone }) {
  const parts = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)/.exec(ScanDate ?? "");
  if (!parts) return { date: ScanDate ?? "–", time: "", zone: "" };
  return { date: parts[1], time: parts[2], zone: TimeZone === "local" ? "scanner's local time" : TimeZone ?? "" };
}

/**
 * @param {Pick<Slide, "SlideID" | "ImageID">} slide
 * @returns {string} what people call it
 */
export function nameOf({ SlideID, ImageID }) {
  return SlideID ?? ImageID;
}

/**
 * @param {string | null} magnification as the scanner wrote it
 * @returns {string}
 */
export function magnification(magnification) {
  return magnification ? `${magnification}×` : "–";
}

/**
 * @param {Import} run
 * @returns {string}
 */
export function stateOf({ State }) {
  return STATES[State ?? ""] ?? State ?? "";
}

/**
 * @param {Date} at
 * @returns {string}
 */
export function clockTime(at) {
  return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/**
 * @param {string} iso
 * @returns {string} short, in the reader's own time
 */
export function shortTime(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? `at ${clockTime(at)}` : `on ${at.toLocaleDateString()} at ${clockTime(at)}`;
}

/**
 * @param {string} iso
 * @returns {string} as short as it can be said: 14:30 for today, else 22 Nov, 04:30
 */
export function momentOf(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? clockTime(at) : `${dayOf(iso)}, ${clockTime(at)}`;
}

/**
 * @param {string} iso
 * @returns {string} such as 28 Nov, in the reader's own time
 */
export function dayOf(iso) {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? iso : at.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}

/**
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * @param {Pick<import("../server/types.js").Slide, "Barcode" | "SlideID">} slide
 * @returns {string} whether the slide ID is the label's own: where no barcode was read, it is the image ID
 */
export function barcodeNote({ Barcode, SlideID }) {
  if (!Barcode) return "no barcode read";
  return Barcode === SlideID ? "barcode read" : `barcode ${Barcode}`;
}
