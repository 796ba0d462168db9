// Formats a slide's fields.
import { plain } from "../shared/format.js";

/** @import {IDCandidate, Slide} from "../server/types.js" */

/** @type {Record<string, string>} */
export const FIELD_NAMES = { SlideID: "slide ID", CaseID: "case ID", Status: "status", Reviewer: "reviewer", Note: "note" };

/**
 * Returns the time of the scanner's clock, not the user's: it matches the laboratory's records.
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
 * @returns {string} its display name
 */
export function nameOf({ SlideID, ImageID }) {
  return plain(SlideID ?? ImageID);
}

/**
 * @param {string | null} magnification as written by the scanner
 * @returns {string}
 */
export function magnification(magnification) {
  return magnification ? `${magnification}×` : "–";
}

/**
 * @param {Pick<Slide, "Barcode" | "SlideID" | "IDCandidates">} slide
 * @returns {string} whether the slide ID comes from the barcode; without one, it is the image ID
 */
export function barcodeNote({ Barcode, SlideID, IDCandidates }) {
  const tag = IDCandidates?.find(({ Source }) => Source === "tag");
  if (tag && tag.Text !== SlideID) return `Scanner's tag differs: ${tag.Text}`;
  if (tag) return `Scanner's tag read, the label differs${Barcode ? `: ${Barcode}` : ""}`;
  if (!Barcode) return IDCandidates ? `${IDCandidates.length} codes on the label` : "Barcode not readable";
  return Barcode === SlideID ? "Barcode read" : `Barcode ${Barcode}`;
}

/**
 * @param {IDCandidate} candidate
 * @returns {string}
 */
export function candidateText({ Text, Source, CaseID }) {
  const source = Source === "tag" ? "scanner's tag" : Source;
  return `${plain(Text)} (${source}${CaseID === null ? ", does not fit the pattern" : `, case ${plain(CaseID)}`})`;
}
