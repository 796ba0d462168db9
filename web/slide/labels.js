// Fetches labels with the user's token, because an image element cannot send one.
import { request } from "../login/request.js";

const KEPT = 120; // labels in memory; some ten kilobytes each
const NEAR = "400px"; // from the visible area

/** @type {Map<string, Promise<Blob>>} the last used at the end */
const labels = new Map();
/** @type {WeakMap<Element, string>} */
const addresses = new WeakMap();
const near = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      fill(/** @type {HTMLImageElement} */ (target), addresses.get(target) ?? "");
    }
  },
  { rootMargin: NEAR },
);

/**
 * @param {HTMLImageElement} img gets an error event where the label cannot be loaded
 * @param {string} address
 */
export function showLabel(img, address) {
  if (img.loading === "lazy") {
    addresses.set(img, address);
    near.observe(img);
  } else fill(img, address);
}

/**
 * @param {string} address
 * @returns {Promise<Blob>}
 */
export function fetchLabel(address) {
  const asked = labels.get(address) ?? fetchNow(address);
  labels.delete(address);
  labels.set(address, asked);
  if (labels.size > KEPT) labels.delete(/** @type {string} */ (labels.keys().next().value));
  asked.catch(() => labels.delete(address));
  return asked;
}

/** @param {string} address */
async function fetchNow(address) {
  const response = await request(address);
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.blob();
}

/**
 * @param {HTMLImageElement} img
 * @param {string} address
 */
async function fill(img, address) {
  try {
    const url = URL.createObjectURL(await fetchLabel(address));
    // The element keeps its picture; the address is no longer needed.
    for (const end of ["load", "error"]) img.addEventListener(end, () => URL.revokeObjectURL(url), { once: true });
    img.src = url;
  } catch {
    img.dispatchEvent(new Event("error"));
  }
}
