// The sort orders of the column headings.

/** @import {Slide} from "../server/types.js" */
/** @typedef {"SlideID" | "CaseID" | "Status" | "ScanDate" | "AppMag" | "Filename" | "ImageID"} SortField */
/** @typedef {{field: SortField, down: boolean}} Sort */

// S2 before S10, as people count
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/**
 * @param {Sort} sort
 * @returns {(a: Slide, b: Slide) => number}
 */
export function comparator({ field, down }) {
  const sign = down ? -1 : 1;
  return (a, b) => {
    const [left, right] = [valueOf(a, field), valueOf(b, field)];
    if (left === null || right === null) return Number(left === null) - Number(right === null); // missing values last
    return sign * collator.compare(left, right);
  };
}

/**
 * @param {Slide} slide
 * @param {SortField} field
 */
function valueOf(slide, field) {
  const at = field === "ScanDate" ? Date.parse(slide.ScanDate ?? "") : NaN;
  return Number.isNaN(at) ? slide[field] : new Date(at).toISOString(); // moments, as the server orders them
}

/**
 * @param {Sort | null} sort
 * @param {SortField} field whose heading was clicked
 * @returns {Sort | null} up, then down, then the server's own order again
 */
export function nextSort(sort, field) {
  if (sort?.field !== field) return { field, down: false };
  return sort.down ? null : { field, down: true };
}
