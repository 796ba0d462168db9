// Reads and writes the address of a view: #/view/{ImageID}@{x},{y},{zoom},{rotation}/…?on=1&layout=one

/** @import {View} from "../image/viewport.js" */
/** @typedef {{id: string, view: View | null}} Opened */
/** @typedef {{open: Opened[], active: number, layout: "side" | "one"}} Link */

const START = "#/view/";
const MOST = 24;

/**
 * @param {Link} link
 * @returns {string}
 */
export function formatLink({ open, active, layout }) {
  const parts = open.map(({ id, view }) => encodeURIComponent(id) + (view ? `@${formatView(view)}` : ""));
  const more = open.length > 1 ? `?on=${active + 1}&layout=${layout}` : "";
  return START + parts.join("/") + more;
}

/** @param {View} view */
function formatView({ x, y, zoom, rotation }) {
  return [x.toFixed(1), y.toFixed(1), Number(zoom.toPrecision(7)), Math.round(rotation)].join(",");
}

/**
 * @param {string} hash
 * @returns {Link | null} null for an address of another kind, or a malformed one
 */
export function parseLink(hash) {
  if (!hash.startsWith(START)) return null;
  const [path, query = ""] = hash.slice(START.length).split("?");
  const choices = new URLSearchParams(query);
  try {
    const open = path.split("/").filter(Boolean).slice(0, MOST).map(parsePart);
    const active = Math.min(Math.max(Number(choices.get("on") ?? 1) - 1 || 0, 0), open.length - 1);
    return open.length > 0 ? { open, active, layout: choices.get("layout") === "one" ? "one" : "side" } : null;
  } catch {
    return null; // wrong percent-encoding
  }
}

/**
 * @param {string} part
 * @returns {Opened}
 */
function parsePart(part) {
  const [id, view] = part.split("@");
  const numbers = (view ?? "").split(",").map(Number);
  const [x, y, zoom, rotation] = numbers;
  const isView = Boolean(view) && numbers.length === 4 && numbers.every(Number.isFinite) && zoom > 0;
  return { id: decodeURIComponent(id), view: isView ? { x, y, zoom, rotation } : null };
}
