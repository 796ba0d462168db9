// A menu that a button opens above itself, or below where there is no room.
import { button, element } from "./element.js";

/** @typedef {{text: string, act: () => void, isDangerous?: boolean}} Item */

const GAP_PX = 6;
/** @type {Record<string, (at: number, count: number) => number>} */
const STEPS = {
  ArrowDown: (at, count) => (at + 1) % count,
  ArrowUp: (at, count) => (at - 1 + count) % count,
  Home: () => 0,
  End: (_, count) => count - 1,
};

/**
 * @param {HTMLButtonElement} opener
 * @param {string} name
 * @param {() => Item[]} items called each time the menu opens
 * @returns {HTMLElement} the menu, to be placed beside the button
 */
export function menuOf(opener, name, items) {
  const menu = element("div", { className: "menu", ariaLabel: name, popover: "auto" });
  menu.role = "menu";
  opener.popoverTargetElement = menu;
  opener.ariaHasPopup = "menu";
  menu.addEventListener("beforetoggle", (event) => {
    if (event.newState === "open") menu.replaceChildren(...items().map((item) => entry(menu, item)));
  });
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "open") return;
    place(menu, opener);
    /** @type {HTMLElement | null} */ (menu.firstElementChild)?.focus();
  });
  menu.addEventListener("keydown", (event) => walk(menu, event));
  return menu;
}

/**
 * @param {HTMLElement} menu
 * @param {Item} item
 */
function entry(menu, { text, act, isDangerous }) {
  const chosen = () => {
    menu.hidePopover(); // returns the focus first, so that a dialog can return it to the button
    act();
  };
  const made = button(text, chosen, { className: isDangerous ? "danger" : "", tabIndex: -1 });
  made.role = "menuitem";
  return made;
}

/**
 * @param {HTMLElement} menu
 * @param {HTMLElement} opener
 */
function place(menu, opener) {
  const box = opener.getBoundingClientRect();
  menu.style.left = `${Math.min(box.left, window.innerWidth - menu.offsetWidth - GAP_PX)}px`;
  const above = box.top - menu.offsetHeight - GAP_PX;
  menu.style.top = `${above < 0 ? box.bottom + GAP_PX : above}px`;
}

/**
 * @param {HTMLElement} menu
 * @param {KeyboardEvent} event
 */
function walk(menu, event) {
  event.stopPropagation(); // shortcuts are disabled while the menu is open
  if (event.key === "Tab") menu.hidePopover();
  const step = STEPS[event.key];
  if (!step) return;
  event.preventDefault();
  const entries = /** @type {HTMLElement[]} */ ([...menu.children]);
  entries[step(entries.indexOf(/** @type {HTMLElement} */ (document.activeElement)), entries.length)]?.focus();
}
