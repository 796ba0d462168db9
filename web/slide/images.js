// A slide's label, thumbnail and overview, or a note where there is none.
import { currentUser, mayChange } from "../login/currentuser.js";
import { element } from "../shared/element.js";
import { fetchLabel, showLabel } from "./labels.js";

/** @import {Slide} from "../server/types.js" */
/** @typedef {"label" | "thumbnail" | "macro"} Kind */

/** @type {Record<Kind, string>} */
const NAMES = { label: "Label", thumbnail: "Thumbnail", macro: "Overview" };

/**
 * @param {Slide} slide
 * @param {Kind} kind
 * @returns {string | null} its address; null where the user may not see it, and for deleted slides
 */
export function imageAddress(slide, kind) {
  if (slide.Status === "DELETED") return null;
  if (kind === "thumbnail") return address(slide.ImageID, kind);
  if (slide.LabelURL === null) return null; // the overview shows the label, too
  return kind === "label" ? slide.LabelURL : address(slide.ImageID, kind);
}

/**
 * @param {Slide} slide
 * @param {Kind} kind
 * @param {string} alt
 * @param {"lazy" | "eager"} [loading]
 * @returns {HTMLElement}
 */
export function slideImage(slide, kind, alt, loading = "eager") {
  const src = imageAddress(slide, kind);
  const isHidden = kind !== "thumbnail" && !mayChange();
  const note = element("span", { className: "absent" }, isHidden ? `${NAMES[kind]} not shown` : `No ${NAMES[kind].toLowerCase()}`);
  if (src === null) return note;
  const img = element("img", { alt, loading, decoding: "async" });
  img.addEventListener("error", () => img.replaceWith(note));
  if (needsToken(kind)) showLabel(img, src);
  else img.src = src;
  return img;
}

/**
 * Preloads an image.
 * @param {Slide} slide
 * @param {Kind} kind
 */
export function fetchAhead(slide, kind) {
  const src = imageAddress(slide, kind);
  if (src === null) return;
  if (needsToken(kind)) fetchLabel(src).catch(() => {});
  else new Image().src = src;
}

/** @param {Kind} kind */
function needsToken(kind) {
  return kind !== "thumbnail" && currentUser() !== null;
}

/**
 * @param {string} id
 * @param {Kind} kind
 */
function address(id, kind) {
  return `/DeepZoom/${encodeURIComponent(id)}_files/${kind}.jpeg`;
}
