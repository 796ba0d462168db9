// Measures lengths: drag a line, or extend one with the arrow keys. The line keeps its place on the slide.

/** @import {Point} from "./viewport.js" */
/**
 * @typedef {object} Place converts between pixels of the slide and of the screen
 * @property {(screen: Point) => Point} toImage
 * @property {(image: Point) => Point} toScreen
 */
/** @typedef {{svg: SVGElement, draw: () => void, clear: () => boolean, setOn: (on: boolean) => void, grow: (by: Point, from: Point) => void}} Ruler */

const SVG = "http://www.w3.org/2000/svg";
const TICK_PX = 7;

/**
 * @param {Place} place
 * @param {() => number | null} micrometres per pixel of the slide
 * @returns {Ruler}
 */
export function makeRuler(place, micrometres) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "ruler");
  const [shadow, line] = ["shadow", "line"].map((name) => part(svg, "path", name));
  const text = part(svg, "text", "length");
  text.setAttribute("role", "status");
  /** @type {{start: Point, end: Point} | null} in pixels of the slide */
  let measured = null;
  let dragging = false;

  const draw = () => {
    svg.classList.toggle("empty", measured === null);
    if (measured === null) return;
    const [from, to] = [place.toScreen(measured.start), place.toScreen(measured.end)];
    for (const path of [shadow, line]) path.setAttribute("d", lineWithTicks(from, to));
    text.textContent = lengthText(distance(measured.start, measured.end), micrometres());
    text.setAttribute("x", String((from.x + to.x) / 2));
    text.setAttribute("y", String((from.y + to.y) / 2 - 12));
  };
  const at = (/** @type {PointerEvent} */ { clientX, clientY }) => {
    const box = svg.getBoundingClientRect();
    return place.toImage({ x: clientX - box.left, y: clientY - box.top });
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    svg.setPointerCapture(event.pointerId);
    dragging = true;
    measured = { start: at(event), end: at(event) };
    draw();
  });
  svg.addEventListener("pointermove", (event) => {
    if (!dragging || !measured) return;
    measured.end = at(event);
    draw();
  });
  svg.addEventListener("pointerup", () => (dragging = false));
  svg.addEventListener("pointercancel", () => (dragging = false));
  draw();
  return {
    svg,
    draw,
    clear() {
      const was = measured !== null;
      measured = null;
      draw();
      return was;
    },
    setOn: (on) => svg.classList.toggle("on", on),
    grow(by, from) {
      measured ??= { start: place.toImage(from), end: place.toImage(from) };
      const end = place.toScreen(measured.end);
      measured.end = place.toImage({ x: end.x + by.x, y: end.y + by.y });
      draw();
    },
  };
}

/**
 * @param {SVGElement} svg
 * @param {string} tag
 * @param {string} className
 * @returns {Element}
 */
function part(svg, tag, className) {
  const made = document.createElementNS(SVG, tag);
  made.setAttribute("class", className);
  svg.append(made);
  return made;
}

/**
 * @param {Point} a
 * @param {Point} b
 */
function distance(a, b) {
  return Math.hypot(b.x - a.x, b.y - a.y);
}

/**
 * @param {Point} from
 * @param {Point} to
 * @returns {string}
 */
function lineWithTicks(from, to) {
  const length = distance(from, to) || 1;
  const across = { x: (-(to.y - from.y) / length) * TICK_PX, y: ((to.x - from.x) / length) * TICK_PX };
  const tick = (/** @type {Point} */ { x, y }) => `M${x - across.x} ${y - across.y}L${x + across.x} ${y + across.y}`;
  return `M${from.x} ${from.y}L${to.x} ${to.y}${tick(from)}${tick(to)}`;
}

/**
 * @param {number} pixels of the slide
 * @param {number | null} micrometres per pixel
 * @returns {string}
 */
export function lengthText(pixels, micrometres) {
  if (!micrometres) return `${Math.round(pixels)} px (scale unknown)`;
  const length = pixels * micrometres;
  return length < 1000 ? `${length.toFixed(1)} µm` : `${(length / 1000).toFixed(3)} mm`;
}
