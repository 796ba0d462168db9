// One pane of the viewer, which shows one slide at a time.
import { makeDamageOutline } from "../image/damage.js";
import { descriptor } from "../image/descriptor.js";
import { makeLegend } from "../image/legend.js";
import { magnificationAt, nativeMagnification, zoomAt } from "../image/magnifications.js";
import { makeViewer, openImage } from "../image/osdviewer.js";
import { makeRuler } from "../image/ruler.js";
import { scaleBar } from "../image/scalebar.js";
import { panBy, placeOn, showWhole, turnBy, viewOf, zoomBy, zoomNow, zoomTo } from "../image/viewport.js";
import { button, debounced, element, setText } from "../shared/element.js";
import { setting } from "../shared/settings.js";
import { nameOf } from "../slide/display.js";
import { imageAddress, slideImage } from "../slide/images.js";
import { statusPill } from "../slide/statuses.js";

/** @import {Slide} from "../server/types.js" */
/** @import {Library} from "../image/openseadragon.js" */
/** @import {Point, View} from "../image/viewport.js" */
/** @typedef {ReturnType<typeof makePane>} Pane */

const SETTLED_MS = 150;
const STEP_SHARE = 0.2; // the part of the stage that an arrow key moves by

/**
 * @param {Library} library
 * @param {HTMLElement} host
 * @param {{onActive: () => void, onMoved: () => void, onClose: () => void}} callbacks
 */
export function makePane(library, host, { onActive, onMoved, onClose }) {
  const stage = element("div", { className: "stage" });
  const standIn = element("img", { className: "stand-in", alt: "", hidden: true });
  const problem = element("p", { className: "problem", role: "alert", hidden: true });
  const scale = scaleSign();
  const legend = makeLegend();
  const label = element("aside", { className: "label-panel", ariaLabel: "Label and overview" });
  const caption = element("header", { className: "caption" });
  const root = element("section", { className: "pane" }, caption, stage);
  host.append(root);
  const viewer = makeViewer(library, stage, setting("navigator"));
  const ruler = makeRuler(placeOn(library, viewer), () => slide?.MPP ?? null);
  const damage = makeDamageOutline(placeOn(library, viewer));
  stage.append(standIn, damage.svg, ruler.svg, scale.sign, legend.sign, label, problem);

  /** @type {Slide | null} */
  let slide = null;
  let generation = 0; // counts slides: one that opens late must not replace a newer one

  let destroyed = false;
  let shown = false; // whether pixels of this slide have been drawn

  const moved = debounced(SETTLED_MS, onMoved);
  const redraw = () => {
    const zoom = zoomNow(viewer);
    if (zoom === null || !slide) return;
    scale.show(slide, zoom);
    ruler.draw();
    damage.draw();
  };
  viewer.addHandler("update-viewport", redraw);
  viewer.addHandler("viewport-change", moved);
  viewer.addHandler("rotate", moved);
  viewer.addHandler("tile-drawn", () => (shown = true));
  viewer.addHandler("animation-start", () => (standIn.hidden = true));
  root.addEventListener("pointerdown", onActive, true);
  root.addEventListener("focusin", onActive);

  /** @param {Slide} now */
  const showFacts = (now) => {
    slide = now;
    root.ariaLabel = nameOf(now);
    const close = button("×", onClose, { title: "Close this slide (X)", ariaLabel: `Close ${nameOf(now)}` });
    caption.replaceChildren(element("b", {}, nameOf(now)), statusPill(now.Status), close);
    showLabel();
  };
  const showLabel = () => {
    label.hidden = !setting("label");
    if (!slide || label.hidden || label.dataset.of === slide.ImageID) return;
    label.dataset.of = slide.ImageID;
    const images = /** @type {const} */ (["label", "macro"]).map((kind) => slideImage(/** @type {Slide} */ (slide), kind, kind === "macro" ? "overview" : kind));
    label.replaceChildren(...images);
  };
  /** @param {Slide} next @param {View | null} view */
  const openSlide = async (next, view) => {
    const mine = ++generation;
    showFacts(next);
    ruler.clear();
    damage.clear();
    problem.hidden = scale.sign.hidden = legend.sign.hidden = true;
    viewer.close();
    shown = false;
    standIn.hidden = view !== null;
    standIn.src = imageAddress(next, "thumbnail") ?? "";
    try {
      const image = await descriptor(next.ImageID);
      if (mine !== generation) return;
      await openImage(viewer, image, view, nativeMagnification(next));
      if (mine !== generation) return;
      scale.sign.hidden = false;
      legend.show(image.notes);
      viewer.world.getItemAt(0).addHandler("fully-loaded-change", ({ fullyLoaded }) => (standIn.hidden ||= fullyLoaded));
      moved();
      if (next.Damage) await outlineDamage(next, mine);
    } catch (error) {
      if (mine === generation) fail(`This slide cannot be shown: ${error instanceof Error ? error.message : error}.`);
    }
  };
  /** @param {Slide} next @param {number} mine */
  const outlineDamage = async (next, mine) => {
    const boxes = await damage.load(next.ImageID);
    if (mine !== generation) return;
    damage.set(boxes);
    damage.draw();
  };
  /** @param {string} reason */
  const fail = (reason) => {
    standIn.hidden = true;
    setText(problem, reason);
    problem.hidden = false;
  };
  standIn.addEventListener("error", () => (standIn.hidden = true));

  return {
    root,
    showFacts,
    showLabel,
    /** @param {Slide} next @param {View | null} view */
    show: openSlide,
    /** @param {string} id of a slide that does not exist */
    showAbsent(id) {
      generation += 1;
      slide = null;
      viewer.close();
      shown = false;
      scale.sign.hidden = legend.sign.hidden = label.hidden = true;
      caption.replaceChildren(element("b", {}, id));
      fail(`Slide ${id} not found.`);
    },
    hasShown: () => shown,
    isOpen: () => !destroyed && viewer.isOpen(),
    view: () => viewOf(viewer),
    zoom: () => zoomNow(viewer),
    size: () => ({ width: stage.clientWidth, height: stage.clientHeight }),
    /** @param {number} step such as 10, for 10× */
    zoomToStep(step) {
      const zoom = slide && zoomAt(step, nativeMagnification(slide));
      if (zoom) zoomTo(viewer, zoom);
    },
    zoomBy: (/** @type {number} */ factor) => zoomBy(viewer, factor),
    turnBy: (/** @type {number} */ degrees) => turnBy(viewer, degrees),
    showWhole: () => showWhole(viewer),
    /** @param {Point} direction of one step, as 1 and -1 */
    pan: ({ x, y }) => panBy(library, viewer, { x: x * stage.clientWidth * STEP_SHARE, y: y * stage.clientHeight * STEP_SHARE }),
    showNavigator(/** @type {boolean} */ isShown) {
      viewer.navigator?.element.classList.toggle("away", !isShown);
    },
    ruler,
    growRuler: (/** @type {Point} */ by) => ruler.grow(by, { x: stage.clientWidth / 2, y: stage.clientHeight / 2 }),
    destroy() {
      generation += 1;
      destroyed = true;
      viewer.destroy();
      root.remove();
    },
  };
}

function scaleSign() {
  const text = element("span", { className: "length" });
  const bar = element("div", { className: "bar" });
  const power = element("span", { className: "power" });
  const sign = element("div", { className: "scale", hidden: true }, element("div", {}, text, bar), power);
  return {
    sign,
    /** @param {Slide} slide @param {number} zoom */
    show(slide, zoom) {
      const length = slide.MPP ? scaleBar(slide.MPP / zoom) : { width: 0, text: "no scale (MPP unknown)" };
      bar.hidden = !slide.MPP;
      bar.style.width = `${length.width}px`;
      setText(text, length.text);
      setText(power, magnificationAt(zoom, nativeMagnification(slide)));
    },
  };
}
