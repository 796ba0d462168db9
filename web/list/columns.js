// The columns of the table, and what each cell shows.
import { jobsOf } from "../jobs/openjobs.js";
import { mayChange } from "../login/currentuser.js";
import { button, element } from "../shared/element.js";
import { plain, sizeOf } from "../shared/format.js";
import { menuOf } from "../shared/menu.js";
import { activityOf } from "../slide/activity.js";
import { FIELD_NAMES, barcodeNote, candidateText, magnification, scanTime } from "../slide/display.js";
import { slideImage } from "../slide/images.js";
import { statusPill } from "../slide/statuses.js";

/** @import {Field, IDCandidate, Slide} from "../server/types.js" */
/** @import {SortField} from "./sorting.js" */
/**
 * @typedef {object} RowActs the actions of a row's parts
 * @property {(id: string, field: Field) => void} edit
 * @property {(id: string, kind: "label" | "thumbnail") => void} enlarge
 * @property {(id: string, candidate: IDCandidate) => void} take
 * @property {(id: string) => void} goTo
 */
/**
 * @typedef {object} Column
 * @property {string} title
 * @property {string} className
 * @property {SortField} [sort]
 * @property {(slide: Slide) => unknown} shows the values that the cell depends on: it is rebuilt only when these change
 * @property {(slide: Slide, acts: RowActs) => (Node | string)[]} make
 */

const SHORT = 16; // characters; a longer text may be cut off, and then its tooltip has it in full

/** @type {Column[]} */
export const COLUMNS = [
  {
    title: "Label",
    className: "label",
    shows: ({ LabelURL, Status }) => [LabelURL, Status === "DELETED"],
    make: (slide, acts) => [enlargeable(slide, "label", acts)],
  },
  {
    title: "Thumbnail",
    className: "thumbnail",
    shows: ({ Status }) => Status === "DELETED", // a thumbnail never changes, but is hidden with a deleted slide
    make: (slide, acts) => [enlargeable(slide, "thumbnail", acts)],
  },
  {
    title: "Slide ID",
    className: "slide-id",
    sort: "SlideID",
    shows: ({ SlideID, Barcode, IDCandidates, SameIDAs }) => [SlideID, Barcode, IDCandidates, SameIDAs],
    make: (slide, acts) => [editable(slide, "SlideID", acts), slide.SameIDAs ? duplicate("Same ID as", slide.SameIDAs, barcodeNote(slide), acts) : noteBelow(barcodeNote(slide))],
  },
  {
    title: "Case ID",
    className: "case-id",
    sort: "CaseID",
    shows: ({ CaseID, SlideID, IDNotConfirmed, IDCandidates }) => [CaseID, SlideID, IDNotConfirmed, IDCandidates],
    make: (slide, acts) => [editable(slide, "CaseID", acts), ...confirmation(slide, acts)],
  },
  {
    title: "Status",
    className: "review",
    sort: "Status",
    shows: (slide) => [slide.Status, activityOf(slide, jobsOf(slide.ImageID))],
    make: (slide) => [statusPill(slide.Status), ...activityNotes(slide)],
  },
  {
    title: "Scanned",
    className: "scanned",
    sort: "ScanDate",
    shows: ({ ScanDate, TimeZone }) => [ScanDate, TimeZone],
    make: (slide) => {
      const { date, time, zone } = scanTime(slide);
      return [date, element("small", { title: zone }, time)];
    },
  },
  {
    title: "Magnification",
    className: "magnification",
    sort: "AppMag",
    shows: ({ AppMag }) => AppMag,
    make: ({ AppMag }) => [magnification(AppMag)],
  },
  {
    title: "File",
    className: "file",
    sort: "Filename",
    shows: ({ Filename, FileSize, SameFileAs }) => [Filename, FileSize, SameFileAs],
    make: ({ Filename, FileSize, SameFileAs }, acts) => {
      const size = sizeOf(FileSize);
      return [clamped(Filename ?? "–"), SameFileAs ? duplicate("Same file as", SameFileAs, size, acts) : element("small", {}, size)];
    },
  },
  {
    title: "Image ID",
    className: "image-id",
    sort: "ImageID",
    shows: ({ Predecessor }) => Predecessor,
    make: ({ ImageID, Predecessor }) => [clamped(ImageID), noteBelow(Predecessor ? `Rescan of ${Predecessor}` : "")],
  },
  {
    title: "Reviewer, note",
    className: "notes",
    shows: ({ Reviewer, Note }) => [Reviewer, Note],
    make: (slide, acts) => [editable(slide, "Reviewer", acts), editable(slide, "Note", acts)],
  },
];

/** @param {Slide} slide */
function activityNotes(slide) {
  const lines = activityOf(slide, jobsOf(slide.ImageID));
  if (lines.length === 0) return [];
  const parts = lines.map(({ text, isTrouble }, at) => element("span", { className: isTrouble ? "problem" : "" }, at > 0 ? ` · ${text}` : text));
  // The tooltip shows a reason in full.
  return [element("small", { className: "activity", title: lines.map(({ text }) => text).join(" · ") }, ...parts)];
}

/**
 * @param {string} what
 * @param {string} id the other slide's
 * @param {string} note
 * @param {RowActs} acts
 */
function duplicate(what, id, note, acts) {
  const title = `${what} ${id}: go there (J)${note ? `\n${note}` : ""}`;
  return button(`${what} ${id}`, () => acts.goTo(id), { className: "duplicate problem", title, tabIndex: -1 });
}

/**
 * @param {Slide} slide
 * @param {RowActs} acts
 * @returns {Node[]} whether its ID is not confirmed, and the texts to choose among
 */
function confirmation(slide, acts) {
  const candidates = slide.IDCandidates ?? [];
  if (!slide.IDNotConfirmed) return [];
  if (candidates.length === 0 || !mayChange()) return [element("small", { className: "problem" }, "ID not confirmed")];
  const opener = button("ID not confirmed: choose", () => {}, { className: "choose-id problem", title: candidates.map(candidateText).join("\n"), tabIndex: -1 });
  const items = () => candidates.map((one) => ({ text: candidateText(one), act: () => acts.take(slide.ImageID, one) }));
  return [opener, menuOf(opener, "Choose the slide ID", items)];
}

/** @param {string} text which is cut off where it would make its row higher than three lines */
function clamped(text) {
  return element("span", { className: "clamped", title: text.length > SHORT ? plain(text) : "" }, plain(text));
}

/** @param {string} text */
function noteBelow(text) {
  return element("small", { className: "note", title: text.length > SHORT ? plain(text) : "" }, plain(text));
}

/**
 * @param {Slide} slide
 * @param {Field} field
 * @param {RowActs} acts
 * @returns {HTMLElement} the container of the text or its editor
 */
function editable(slide, field, acts) {
  const value = slide[field] === null ? null : plain(slide[field]);
  const className = value ? "field" : "field missing";
  const ariaLabel = `${value ?? `No ${FIELD_NAMES[field]}`}: edit ${FIELD_NAMES[field]}`;
  const text = clamped(value ?? (mayChange() ? FIELD_NAMES[field] : ""));
  const host = element("div", { className: "host" }, text);
  if (mayChange()) {
    const opener = button("", () => acts.edit(slide.ImageID, field), { className, ariaLabel, tabIndex: -1 });
    opener.append(text);
    host.append(opener);
  }
  host.dataset.field = field;
  return host;
}

/**
 * @param {Slide} slide
 * @param {"label" | "thumbnail"} kind
 * @param {RowActs} acts
 */
function enlargeable(slide, kind, acts) {
  const image = slideImage(slide, kind, "", "lazy");
  if (!(image instanceof HTMLImageElement)) return image; // there is nothing to enlarge
  const ariaLabel = `Enlarge the ${kind}`;
  const made = button("", () => acts.enlarge(slide.ImageID, kind), { className: "picture", ariaLabel, tabIndex: -1 });
  made.append(image);
  image.addEventListener("error", () => made.replaceWith(...made.childNodes)); // the note that there is none
  return made;
}
