// Short notices at the head of the page: what was done, with a way back, and what failed.
import { button, byId, element } from "./element.js";

const READING_MS = 9000;

/** @typedef {{text: string, act: () => void}} Offer */

/**
 * What was done goes away by itself, and gives way to the next.
 * @param {string} text
 * @param {Offer} [offer]
 */
export function notify(text, offer) {
  for (const old of byId("notices").querySelectorAll(".done")) old.remove();
  const notice = show(text, "notice done", offer);
  setTimeout(() => notice.remove(), READING_MS);
}

/**
 * What failed stays until it is read.
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
