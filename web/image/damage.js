// Outlines the places of a slide whose tiles cannot be decoded.

/** @import {Place} from "./ruler.js" */
/** @typedef {[number, number, number, number]} Box left, top, width and height in pixels of the slide */

const SVG = "http://www.w3.org/2000/svg";
const UNIT = 1000; // pixels of the slide between the places that give scale and rotation

/** @param {Place} place */
export function makeDamageOutline(place) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "damage empty");
  const [shadow, line] = ["shadow", "line"].map((name) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    svg.append(path);
    return path;
  });
  const title = document.createElementNS(SVG, "title");
  title.textContent = "Places that cannot be decoded";
  svg.prepend(title);
  /** @param {Box[]} boxes */
  const set = (boxes) => {
    svg.classList.toggle("empty", boxes.length === 0);
    const text = boxes.map(([left, top, width, height]) => `M${left} ${top}h${width}v${height}h${-width}z`).join("");
    for (const path of [shadow, line]) path.setAttribute("d", text);
  };
  return {
    svg,
    clear: () => set([]),
    /** @param {string} id @returns {Promise<Box[]>} empty where they cannot be fetched */
    load: (id) =>
      fetch(`/DeepZoom/${encodeURIComponent(id)}_files/damage.json`)
        .then((response) => (response.ok ? response.json() : { boxes: [] }))
        .then(({ boxes }) => boxes, () => []),
    set,
    draw() {
      if (svg.classList.contains("empty")) return;
      const [origin, x, y] = [place.toScreen({ x: 0, y: 0 }), place.toScreen({ x: UNIT, y: 0 }), place.toScreen({ x: 0, y: UNIT })];
      const axis = (/** @type {import("./viewport.js").Point} */ end) => [(end.x - origin.x) / UNIT, (end.y - origin.y) / UNIT];
      const matrix = `matrix(${[...axis(x), ...axis(y), origin.x, origin.y].join(" ")})`;
      for (const path of [shadow, line]) path.setAttribute("transform", matrix);
    },
  };
}
