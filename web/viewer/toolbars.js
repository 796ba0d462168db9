// The viewer's two bars: title and review at the top, tools at the bottom.
import { MAGNIFICATIONS, nativeMagnification, zoomAt } from "../image/magnifications.js";
import { jobsOf } from "../jobs/openjobs.js";
import { mayChange, mayDelete } from "../login/currentuser.js";
import { button, element, setText } from "../shared/element.js";
import { plain } from "../shared/format.js";
import { flip, setting } from "../shared/settings.js";
import { activityOf } from "../slide/activity.js";
import { FIELD_NAMES, magnification, scanTime } from "../slide/display.js";
import { MARKS, statusName, statusPill } from "../slide/statuses.js";

/** @import {Field, Slide} from "../server/types.js" */
/**
 * @typedef {object} Acts the commands of the bars' buttons and the viewer's keys
 * @property {() => void} leave
 * @property {(by: number) => void} go to the next slide of the list, or the one before
 * @property {(status: string) => void} mark whether or not the slide has been shown
 * @property {(status: string) => void} markSeen only when the slide has been shown
 * @property {() => void} remove
 * @property {(field: Field) => void} edit
 * @property {(step: number) => void} zoomToStep
 * @property {(factor: number) => void} zoomBy
 * @property {() => void} whole
 * @property {(degrees: number) => void} turn
 * @property {() => void} toggleRuler
 * @property {() => void} toggleLabel
 * @property {() => void} toggleNavigator
 * @property {() => void} toggleLayout
 * @property {(by: number) => void} otherPane
 * @property {() => void} addBeside
 * @property {() => void} close
 * @property {() => void} copyLink
 * @property {() => void} help
 */
/** @typedef {{slide: Slide | null, id: string, place: string, canGo: (by: number) => boolean}} Shown */
/** @typedef {{several: boolean, side: boolean, ruler: boolean, room: boolean}} Modes */

/** @param {Acts} acts */
export function makeTitleBar(acts) {
  const back = button("← Slides", acts.leave, { title: "Back to the list (Escape)" });
  const previous = keyed("‹", "Previous slide", "P", () => acts.go(-1));
  const next = keyed("›", "Next slide", "N", () => acts.go(1));
  const place = element("span", { className: "place" });
  const hosts = /** @type {const} */ (["SlideID", "CaseID"]).map((field) => {
    const host = element("div", { className: "host" });
    host.dataset.field = field;
    return host;
  });
  const pill = element("span", { className: "pill" });
  const about = element("p", { className: "about" });
  const marks = MARKS.map(({ status, key }) => {
    const made = button(statusName(status), () => acts.mark(status), { className: "mark", ariaKeyShortcuts: key });
    made.append(element("kbd", { ariaHidden: "true" }, key));
    made.dataset.status = status;
    return made;
  });
  const remove = button("Delete", acts.remove, { className: "danger", title: "Delete this slide (Delete)" });
  const help = keyed("?", "Keyboard shortcuts", "?", acts.help);
  const choice = makeAutoAdvance();
  const heading = element("h1", {}, hosts[0]);
  const bar = element("header", { className: "title" }, back, previous, next, place, heading, hosts[1], pill, about, choice, ...marks, remove, help);
  return {
    bar,
    hosts,
    /** @param {Shown} shown */
    show({ slide, id, place: text, canGo }) {
      setText(place, text);
      previous.disabled = !canGo(-1);
      next.disabled = !canGo(1);
      for (const one of [choice, ...marks]) one.hidden = !mayChange();
      remove.hidden = !mayDelete();
      for (const one of [...marks, remove]) one.disabled = slide === null;
      for (const one of marks) one.ariaPressed = String(slide?.Status === one.dataset.status);
      // The pressed button shows the status, except for statuses without a button.
      const isElsewhere = slide && (!mayChange() || !MARKS.some(({ status }) => status === slide.Status));
      pill.replaceChildren(...(isElsewhere ? [statusPill(slide.Status)] : []));
      setText(about, slide ? facts(slide) : "");
      for (const host of hosts) if (!host.dataset.editing) host.replaceChildren(...fieldText(slide, id, host, acts));
    },
  };
}

/**
 * @param {Slide | null} slide
 * @param {string} id
 * @param {HTMLElement} host
 * @param {Acts} acts
 * @returns {Node[]}
 */
function fieldText(slide, id, host, acts) {
  const field = /** @type {Field} */ (host.dataset.field);
  if (slide === null) return field === "SlideID" ? [new Text(id)] : [];
  const value = slide[field] === null ? null : plain(slide[field]);
  if (!mayChange()) return [new Text(value ?? "")];
  const ariaLabel = `${value ?? `No ${FIELD_NAMES[field]}`}: edit ${FIELD_NAMES[field]}`;
  const className = value ? "field" : "field missing";
  return [button(value ?? FIELD_NAMES[field], () => acts.edit(field), { className, ariaLabel })];
}

/** @param {Slide} slide */
function facts(slide) {
  const { date, time } = scanTime(slide);
  const activity = activityOf(slide, jobsOf(slide.ImageID)).map(({ text }) => text);
  return [...activity, slide.Note, date, time, magnification(slide.AppMag), slide.Filename].filter(Boolean).map((text) => plain(text ?? "")).join(" · ");
}

function makeAutoAdvance() {
  const box = element("input", { type: "checkbox", checked: setting("goOn") });
  box.addEventListener("change", () => (box.checked = flip("goOn")));
  return element("label", { className: "choice", title: "Go to the next slide after marking this one" }, box, "Auto-advance");
}

/** @param {Acts} acts */
export function makeToolBar(acts) {
  const whole = keyed("Fit", "Fit the whole slide", "0", acts.whole);
  const steps = MAGNIFICATIONS.map((step, at) => keyed(`${step}×`, `Zoom to ${step}×`, String(at + 1), () => acts.zoomToStep(step)));
  const ruler = keyed("Ruler", "Measure a length", "M", acts.toggleRuler);
  const label = keyed("Label", "Show label and overview", "L", acts.toggleLabel);
  const navigator = keyed("Navigator", "Show the navigator", "O", acts.toggleNavigator);
  const beside = keyed("Add next", "Add the next slide beside this one", "D", acts.addBeside);
  const layout = keyed("Side by side", "Side by side or tabs", "V", acts.toggleLayout);
  const bar = element(
    "footer",
    { className: "tools" },
    group("Magnification", whole, ...steps, keyed("−", "Zoom out", "−", () => acts.zoomBy(1 / 1.5)), keyed("+", "Zoom in", "+", () => acts.zoomBy(1.5))),
    group("Rotation", keyed("↺", "Rotate left", "Shift+R", () => acts.turn(-90)), keyed("↻", "Rotate right", "R", () => acts.turn(90))),
    group("Tools", ruler, label, navigator),
    group("Slides", beside, layout),
    group("Link", keyed("Copy link", "Copy link to this view", "K", acts.copyLink)),
  );
  return {
    bar,
    /** @param {Slide | null} slide @param {number | null} zoom @param {Modes} modes */
    show(slide, zoom, { several, side, ruler: isMeasuring, room }) {
      const native = slide && nativeMagnification(slide);
      steps.forEach((made, at) => {
        const wanted = zoomAt(MAGNIFICATIONS[at], native);
        made.disabled = wanted === null;
        made.ariaPressed = String(wanted !== null && zoom !== null && Math.abs(zoom / wanted - 1) < 0.02);
      });
      ruler.ariaPressed = String(isMeasuring);
      label.ariaPressed = String(setting("label"));
      navigator.ariaPressed = String(setting("navigator"));
      layout.ariaPressed = String(side && several);
      layout.disabled = !several;
      beside.disabled = !room;
    },
  };
}

/**
 * @param {string} text
 * @param {string} name
 * @param {string} key
 * @param {() => void} act
 */
function keyed(text, name, key, act) {
  // The name begins with the visible text, for voice control (WCAG 2.5.3); a symbol needs a name.
  const ariaLabel = /^\p{L}/u.test(text) ? `${text}: ${name.toLowerCase()}` : /^\d/.test(text) ? text : name;
  return button(text, act, { title: `${name} (${key})`, ariaLabel, ariaKeyShortcuts: key === "−" ? "-" : key });
}

/**
 * @param {string} name
 * @param {...Node} buttons
 */
function group(name, ...buttons) {
  const made = element("div", { className: "group", ariaLabel: name }, ...buttons);
  made.role = "group";
  return made;
}
