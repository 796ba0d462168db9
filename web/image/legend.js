// The legend of a picture: its channels in their colours, and why its colours are as stored, not as requested.
import { element } from "../shared/element.js";

/** @typedef {{name: string, color: string, start: number, end: number, active?: boolean}} Channel */
/** @typedef {{channels: Channel[], problem: string | null}} Notes */

const NAMESPACE = "urn:x-vsv:colour";
const MOST = 40; // more channels than a screen has room for

/**
 * @param {Element} image of a Deep Zoom descriptor
 * @returns {Notes}
 */
export function notesOf(image) {
  const channels = image.getAttributeNS(NAMESPACE, "Channels");
  return { channels: channels ? JSON.parse(channels) : [], problem: image.getAttributeNS(NAMESPACE, "Problem") };
}

export function makeLegend() {
  const list = element("ul", { className: "channels", ariaLabel: "Channels" });
  const note = element("p", {});
  const sign = element("aside", { className: "legend", ariaLabel: "Legend", hidden: true }, list, note);
  return {
    sign,
    /** @param {Notes} notes */
    show({ channels, problem }) {
      const named = channels.filter(({ active }) => active !== false).slice(0, MOST);
      list.replaceChildren(...named.map(channelItem));
      list.hidden = named.length === 0;
      note.textContent = problem ? `Colours as stored: ${problem}.` : "";
      note.hidden = !problem;
      sign.hidden = list.hidden && note.hidden;
    },
  };
}

/** @param {Channel} channel */
function channelItem({ name, color, start, end }) {
  const swatch = element("span", { className: "swatch" });
  swatch.style.background = `#${color}`;
  const range = element("small", {}, `${Math.round(start)}–${Math.round(end)}`);
  return element("li", {}, swatch, element("span", {}, name), range);
}
