// Shows a label or thumbnail enlarged.
import { openDialog } from "../shared/dialog.js";
import { element } from "../shared/element.js";
import { nameOf } from "../slide/display.js";
import { slideImage } from "../slide/images.js";
import { knownSlide } from "../slide/knownslides.js";

/**
 * @param {string} id
 * @param {"label" | "thumbnail"} kind
 */
export function openLightbox(id, kind) {
  const slide = knownSlide(id);
  if (!slide) return;
  const title = `${kind === "label" ? "Label" : "Thumbnail"} of ${nameOf(slide)}`;
  const facts = [
    slide.CaseID && `Case ${slide.CaseID}`,
    slide.Barcode ? `Barcode ${slide.Barcode}` : "Barcode not readable",
    `Image ${slide.ImageID}`,
    slide.Filename,
  ];
  const content = [slideImage(slide, kind, title), element("p", {}, facts.filter(Boolean).join(" · "))];
  openDialog(title, content, { className: "enlarged" });
}
