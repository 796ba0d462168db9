// The tabs of the open slides.
import { button, element } from "../shared/element.js";
import { nameOf } from "../slide/display.js";
import { knownSlide } from "../slide/knownslides.js";

/** @param {(at: number) => void} choose */
export function makeTabs(choose) {
  const bar = element("nav", { className: "tabs", ariaLabel: "Open slides", hidden: true });
  return {
    bar,
    /** @param {string[]} ids @param {number} active @param {boolean} isNeeded */
    show(ids, active, isNeeded) {
      bar.hidden = !isNeeded;
      const names = isNeeded ? ids.map((id) => nameOf(knownSlide(id) ?? { ImageID: id, SlideID: null })) : [];
      if (bar.dataset.shown !== JSON.stringify(names)) {
        bar.dataset.shown = JSON.stringify(names);
        bar.replaceChildren(...names.map((name, at) => button(name, () => choose(at))));
      }
      [...bar.children].forEach((tab, at) => (tab.ariaCurrent = String(at === active)));
    },
  };
}
