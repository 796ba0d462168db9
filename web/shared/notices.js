// Short notices at the top of the page: what was done, with an Undo button, and what failed.
import { button, byId, element } from "./element.js";

const READING_MS = 9000;

/** @typedef {{text: string, act: () => void}} Offer */

/**
 * Shows what was done; the notice disappears by itself or with the next one.
 * @param {string} text
 * @param {Offer} [offer]
 */
export function notify(text, offer) {
  for (const old of byId("notices").querySelectorAll(".done")) old.remove();
  const notice = show(text, "notice done", offer);
  setTimeout(() => notice.remove(), READING_MS);
}

/**
 * Shows what failed; the notice stays until it is closed.
 * @param {string} text
 */
export function notifyFailure(text) {
  for (const old of byId("notices").querySelectorAll(".failure")) if (old.firstChild?.textContent === text) old.remove();
  show(text, "notice failure", { text: "Close", act: () => {} });
}

/**
 * @param {string} text
 * @param {string} className
 * @param {Offer} [offer]
 * @returns {HTMLElement}
 */
function show(text, className, offer) {
  const notice = element("div", { className }, element("span", {}, text));
  if (offer) {
    const leave = () => {
      notice.remove();
      offer.act();
    };
    notice.append(button(offer.text, leave));
  }
  byId("notices").append(notice);
  return notice;
}
