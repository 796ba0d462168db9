// How a slide's fields are written.

/** @import {Slide} from "../server/types.js" */

/** @type {Record<string, string>} */
export const FIELD_NAMES = { SlideID: "slide ID", CaseID: "case ID", Status: "status", Reviewer: "reviewer", Note: "note" };

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
 * @param {Pick<Slide, "Barcode" | "SlideID">} slide
 * @returns {string} whether the slide ID is the label's own: where no barcode was read, it is the image ID
 */
export function barcodeNote({ Barcode, SlideID }) {
  if (!Barcode) return "Barcode not readable";
  return Barcode === SlideID ? "Barcode read" : `Barcode ${Barcode}`;
}
