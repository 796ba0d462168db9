// The names of the statuses of schema.graphql, and the statuses that a technician sets.
import { element } from "../shared/element.js";

/** @type {Record<string, string>} */
const NAMES = {
  NEW: "New",
  GOOD: "Good",
  BAD: "Bad",
  SENT: "Sent",
  PUBLISHED: "Published",
  ARCHIVED: "Archived",
  DELETED: "Deleted",
};

export const STATUSES = Object.keys(NAMES);

/** The statuses set with one key; U as in "unmark", because N is the next slide. */
export const MARKS = [
  { status: "GOOD", key: "G" },
  { status: "BAD", key: "B" },
  { status: "SENT", key: "S" },
  { status: "NEW", key: "U" },
];

/**
 * @param {string} status one of MARKS
 * @returns {string}
 */
export function keyOf(status) {
  return MARKS.find((one) => one.status === status)?.key ?? "";
}

/**
 * @param {string} status one of MARKS
 * @returns {boolean} whether it judges the slide, and needs a look at it
 */
export function isJudgement(status) {
  return status !== "NEW";
}

/**
 * @param {string | null} status
 * @returns {string}
 */
export function statusName(status) {
  return NAMES[status ?? ""] ?? status ?? "–";
}

/**
 * @param {string} status one of MARKS
 * @returns {string} what its key does
 */
export function markText(status) {
  return status === "NEW" ? "reset to New" : `mark as ${statusName(status)}`;
}

/**
 * @param {string} message from the server, with the statuses' names of the schema
 * @returns {string} with the names that the page uses
 */
export function withStatusNames(message) {
  return message.replace(/\b[A-Z]+\b/g, (word) => NAMES[word] ?? word);
}

/**
 * @param {string | null} status
 * @param {string} [text]
 * @returns {HTMLSpanElement}
 */
export function statusPill(status, text = statusName(status)) {
  const pill = element("span", { className: "status" }, text);
  pill.dataset.status = status ?? "";
  return pill;
}
