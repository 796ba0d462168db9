// Formats texts, sizes, times and counts.

// Bidirectional controls make a text, and what stands beside it, look like another one (Unicode, UAX #9).
const UNSHOWABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * @param {string} text as stored
 * @returns {string} with a mark in place of characters that may change how other text is shown
 */
export function plain(text) {
  return text.replace(/[\t\n\r]+/g, " ").replace(UNSHOWABLE, "\ufffd");
}

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
 * @param {Date} at
 * @returns {string}
 */
export function clockTime(at) {
  return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/**
 * @param {string} iso
 * @returns {string} short, in the user's own time zone
 */
export function shortTime(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? `at ${clockTime(at)}` : `on ${at.toLocaleDateString()} at ${clockTime(at)}`;
}

/**
 * @param {string} iso
 * @returns {string} 14:30 for today, else 22 Nov, 04:30
 */
export function momentOf(iso) {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? clockTime(at) : `${dayOf(iso)}, ${clockTime(at)}`;
}

/**
 * @param {string} iso
 * @returns {string} such as 28 Nov, in the user's own time zone
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
