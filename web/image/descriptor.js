// Fetches a slide's Deep Zoom descriptor once, and preloads its first tiles.
import { fetchAhead } from "../slide/images.js";
import { notesOf } from "./legend.js";

/** @import {Slide} from "../server/types.js" */
/** @import {Notes} from "./legend.js" */
/** @typedef {{Url: string, Format: string, Overlap: number, TileSize: number, Size: {Width: number, Height: number}, notes: Notes}} Descriptor */

const KEPT = 40;
const MOST_TILES = 24; // enough for a whole slide on a large screen

/** @type {Map<string, Promise<Descriptor>>} */
const descriptors = new Map();

/**
 * @param {string} id
 * @returns {Promise<Descriptor>} rejects with a reason for the user
 */
export function descriptor(id) {
  const known = descriptors.get(id);
  if (known) return known;
  const asked = fetchDescriptor(id);
  descriptors.set(id, asked);
  if (descriptors.size > KEPT) descriptors.delete(/** @type {string} */ (descriptors.keys().next().value));
  asked.catch(() => descriptors.delete(id));
  return asked;
}

/**
 * @param {string} id
 * @returns {Promise<Descriptor>}
 */
async function fetchDescriptor(id) {
  const root = `/DeepZoom/${encodeURIComponent(id)}`;
  const response = await fetch(`${root}.dzi`).catch(() => {
    throw new Error("no connection");
  });
  if (!response.ok) {
    const { error } = await response.json().catch(() => ({}));
    throw new Error(error ?? `server error ${response.status}`);
  }
  const image = new DOMParser().parseFromString(await response.text(), "application/xml").documentElement;
  const size = /** @type {Element} */ (image.getElementsByTagName("Size")[0]);
  const number = (/** @type {Element} */ from, /** @type {string} */ name) => Number(from.getAttribute(name));
  return {
    Url: `${root}_files/`,
    Format: `${image.getAttribute("Format") ?? "jpeg"}${versionOf(image)}`,
    Overlap: number(image, "Overlap"),
    TileSize: number(image, "TileSize"),
    Size: { Width: number(size, "Width"), Height: number(size, "Height") },
    notes: notesOf(image),
  };
}

/**
 * @param {Element} image
 * @returns {string} the end of tiles' addresses where levels were rendered again: caches keep the old tiles for a year
 */
function versionOf(image) {
  const version = image.getAttribute("vsv:Version");
  return version && /^\d+$/.test(version) ? `?v=${version}` : "";
}

/**
 * Preloads what opening this slide will request.
 * @param {Slide} slide
 * @param {{width: number, height: number}} stage in pixels of the screen
 */
export async function preload(slide, stage) {
  fetchAhead(slide, "thumbnail");
  fetchAhead(slide, "label");
  const found = await descriptor(slide.ImageID).catch(() => null);
  for (const address of found ? firstTiles(found, stage) : []) new Image().src = address;
}

/**
 * @param {Descriptor} image
 * @param {{width: number, height: number}} stage
 * @returns {string[]} the tiles that show the whole slide on a stage of this size
 */
export function firstTiles({ Url, Format, TileSize, Size: { Width, Height } }, stage) {
  const top = Math.ceil(Math.log2(Math.max(Width, Height)));
  const fit = Math.min(stage.width / Width, stage.height / Height) * window.devicePixelRatio;
  const level = Math.min(top, Math.max(0, top + Math.ceil(Math.log2(fit))));
  const count = (/** @type {number} */ length) => Math.ceil(Math.ceil(length / 2 ** (top - level)) / TileSize);
  const [columns, rows] = [count(Width), count(Height)];
  const tiles = Array.from({ length: columns * rows }, (_, at) => `${at % columns}_${Math.floor(at / columns)}`);
  return tiles.slice(0, MOST_TILES).map((tile) => `${Url}${level}/${tile}.${Format}`);
}
