// Goes from a slide to another one with the same slide ID or the same file.
import { getSlides } from "../server/api.js";
import { watched } from "../shared/health.js";
import { notify, notifyFailure } from "../shared/notices.js";
import { nameOf } from "../slide/display.js";
import { knownSlide, storeSlides } from "../slide/knownslides.js";
import { searchOnly } from "./filters.js";
import { results } from "./results.js";
import { currentId, setCurrent } from "./selection.js";
import { focusRow } from "./table.js";

/** Goes on to the next slide of the group; a group with the same ID comes before one with the same file. */
export async function goToOther() {
  const slide = knownSlide(currentId() ?? "");
  if (!slide) return;
  const other = slide.SameIDAs ?? slide.SameFileAs;
  if (other === null) notify(`No other slide has the slide ID or the file of ${nameOf(slide)}`);
  else await goTo(other);
}

/** @param {string} id */
export async function goTo(id) {
  try {
    if (!results().ids.includes(id)) await list(id);
  } catch (error) {
    return notifyFailure(`The other slide cannot be shown: ${error instanceof Error ? error.message : error}`);
  }
  if (!results().ids.includes(id)) return notify(`Slide ${id} is not listed: it was changed or deleted in the meantime`);
  setCurrent(id);
  focusRow(id);
}

/** @param {string} id a slide that is not listed: the filters are replaced by a search for it */
async function list(id) {
  const [slide] = await watched(getSlides([id]));
  if (!slide) return;
  storeSlides([slide]);
  await searchOnly(slide.SlideID ?? slide.Filename ?? "");
}
