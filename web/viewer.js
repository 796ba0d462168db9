// One slide, full window, on OpenSeadragon.
import { byId, element, imageUrl, slideImage } from "./element.js";
import { scaleBar } from "./scalebar.js";

/** @typedef {import("openseadragon").Viewer} Viewer */
/** @typedef {import("openseadragon").Options} Options */
/** @typedef {Partial<import("./slides.js").Slide> & {ImageID: string}} ViewedSlide */

const VENDOR = "/vendor/openseadragon/";
/** @type {[id: string, name: string, sign: string][]} */
const CONTROLS = [
  ["zoom-out", "Zoom out", "−"],
  ["zoom-in", "Zoom in", "+"],
  ["fit", "Show the whole slide", "Fit"],
  ["rotate-left", "Turn left", "↺"],
  ["rotate-right", "Turn right", "↻"],
];
/** @type {Viewer | null} */
let viewer = null;
/** @type {Promise<(options: Options) => Viewer> | null} */
let library = null;

/** @param {ViewedSlide} slide */
export async function openViewer(slide) {
  const stage = element("div", { id: "stage" });
  const standIn = element("img", { id: "stand-in", alt: "", src: imageUrl(slide.ImageID, "thumbnail") });
  standIn.addEventListener("error", () => standIn.remove());
  stage.append(standIn);
  byId("viewer").replaceChildren(titleBar(slide), stage);
  byId("viewer").hidden = false;
  try {
    const open = await (library ??= loadLibrary());
    if (stage.isConnected) start(open, slide, stage, standIn);
  } catch {
    library = null;
    notify(stage, "OpenSeadragon, which shows slides, is not installed: run scripts/web, then reload this page.");
  }
}

export function closeViewer() {
  viewer?.destroy();
  viewer = null;
  byId("viewer").hidden = true;
  byId("viewer").replaceChildren();
}

/** @returns {Promise<(options: Options) => Viewer>} loaded on first use: the list does without its 350 kB */
function loadLibrary() {
  // It adds an inline style, which the page's CSP forbids, unless something like this is there (see style.css).
  const style = document.createElementNS(null, "style");
  style.setAttribute("data-openseadragon-mobile-css", "");
  const script = element("script", { src: `${VENDOR}openseadragon.min.js` });
  document.head.append(style, script);
  return new Promise((resolve, reject) => {
    script.addEventListener("error", reject);
    script.addEventListener("load", () => {
      const loaded = Reflect.get(globalThis, "OpenSeadragon");
      const failure = "This slide cannot be shown: the server does not answer, or has no such image.";
      loaded.setString("Errors.OpenFailed", failure);
      resolve(loaded);
    });
  });
}

/**
 * @param {(options: Options) => Viewer} open
 * @param {ViewedSlide} slide
 * @param {HTMLElement} stage
 * @param {HTMLElement} standIn
 */
function start(open, slide, stage, standIn) {
  viewer = open({
    element: stage,
    tileSources: `/DeepZoom/${encodeURIComponent(slide.ImageID)}.dzi`,
    prefixUrl: `${VENDOR}images/`,
    drawer: "canvas", // runs everywhere, remote desktops included, and needs no worker, which the page's CSP forbids
    navigatorAutoFade: false,
    showNavigator: true,
    navigatorPosition: "TOP_RIGHT",
    navigatorSizeRatio: 0.16,
    navigatorOpacity: 1,
    navigatorBackground: "#24282c",
    showFullPageControl: false, // it already fills the window
    showRotationControl: true,
    zoomOutButton: "zoom-out",
    zoomInButton: "zoom-in",
    homeButton: "fit",
    rotateLeftButton: "rotate-left",
    rotateRightButton: "rotate-right",
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
    animationTime: 0.5,
    maxZoomPixelRatio: 4,
    visibilityRatio: 0.3,
    tileRetryMax: 3, // a restart of the server leaves no holes
    tileRetryDelay: 2000,
  });
  // A mirrored slide looks like any other: the F key must not flip one by accident.
  viewer.addHandler("canvas-key", (event) => {
    const { key } = /** @type {KeyboardEvent} */ (event.originalEvent);
    event.preventDefaultAction = key.toLowerCase() === "f";
  });
  viewer.addOnceHandler("tile-drawn", () => standIn.remove());
  viewer.addOnceHandler("open-failed", () => {
    standIn.remove();
    stage.classList.add("failed");
  });
  followScale(viewer, slide, stage);
  viewer.canvas.focus();
}

/**
 * @param {Viewer} shown
 * @param {ViewedSlide} slide
 * @param {HTMLElement} stage
 */
function followScale(shown, { MPP, AppMag }, stage) {
  const bar = element("div", { className: "bar" });
  const text = element("span");
  const scale = element("div", { id: "scale", hidden: true }, text, bar);
  stage.append(scale);
  const update = () => {
    const image = shown.world.getItemAt(0);
    if (!image) return;
    const zoom = image.viewportToImageZoom(shown.viewport.getZoom(true));
    const length = MPP ? scaleBar(MPP / zoom) : { width: 0, text: "no scale: the slide names no MPP" };
    bar.hidden = !MPP;
    bar.style.width = `${length.width}px`;
    const power = AppMag ? ` · ${Number((Number(AppMag) * zoom).toPrecision(2))}×` : "";
    text.textContent = length.text + power;
    scale.hidden = false;
  };
  for (const event of /** @type {const} */ (["open", "animation", "resize"])) shown.addHandler(event, update);
}

/**
 * @param {ViewedSlide} slide
 * @returns {HTMLElement}
 */
function titleBar(slide) {
  const back = element("a", { href: "#", title: "Back to the list (Escape)" }, "← Slides");
  const facts = [
    slide.CaseID && `Case ${slide.CaseID}`,
    `Image ${slide.ImageID}`,
    slide.Filename,
    slide.AppMag && `${slide.AppMag}×`,
    slide.MPP && `${slide.MPP} µm/px`,
  ];
  const title = element("h1", {}, slide.SlideID ?? slide.ImageID);
  const about = element("p", {}, facts.filter(Boolean).join(" · "));
  const toggle = element("button", { type: "button", ariaPressed: "false" }, "Label");
  toggle.addEventListener("click", () => {
    const open = document.getElementById("label-panel");
    toggle.ariaPressed = String(!open);
    if (open) open.remove();
    else byId("viewer").append(labelPanel(slide.ImageID));
  });
  return element("header", {}, back, title, about, ...CONTROLS.map(control), toggle);
}

/** @param {[id: string, name: string, sign: string]} control; OpenSeadragon gives it its task, by id */
function control([id, name, sign]) {
  return element("button", { id, type: "button", title: name, ariaLabel: name, className: "control" }, sign);
}

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
function labelPanel(id) {
  const images = [slideImage(id, "label", "The slide's label"), slideImage(id, "macro", "The whole slide")];
  return element("aside", { id: "label-panel", ariaLabel: "Label and overview" }, ...images);
}

/**
 * @param {HTMLElement} stage
 * @param {string} text
 */
function notify(stage, text) {
  stage.append(element("p", { className: "notice", role: "alert" }, text));
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !byId("viewer").hidden) location.hash = "";
});
