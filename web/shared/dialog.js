// Questions and enlarged images in the browser's own modal dialog, which keeps the focus inside and returns it.
import { button, element } from "./element.js";

/**
 * @param {string} title
 * @param {Node[]} content
 * @param {{className?: string, buttons?: HTMLButtonElement[]}} [more]
 * @returns {{dialog: HTMLDialogElement, closed: Promise<string>}} `closed` resolves to the argument of `dialog.close`
 */
export function openDialog(title, content, { className = "", buttons = [] } = {}) {
  const heading = element("h2", { id: "dialog-title" }, title);
  const close = button("×", () => dialog.close(""), { className: "close", ariaLabel: "Close" });
  const foot = buttons.length > 0 ? [element("div", { className: "buttons" }, ...buttons)] : [];
  const dialog = element("dialog", { className }, element("header", {}, heading, close), ...content, ...foot);
  dialog.setAttribute("aria-labelledby", heading.id);
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close("")); // its backdrop
  const closed = new Promise((/** @type {(value: string) => void} */ resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
  document.body.append(dialog);
  dialog.showModal();
  (buttons[0] ?? close).focus();
  return { dialog, closed };
}

/**
 * @param {string} title
 * @param {Node[]} content
 * @param {string} action the text of the confirming button
 * @param {string} [className] of that button
 * @returns {Promise<boolean>}
 */
export async function confirmed(title, content, action, className = "danger") {
  const yes = button(action, () => dialog.close("yes"), { className });
  const no = button("Cancel", () => dialog.close(""));
  const { dialog, closed } = openDialog(title, content, { className: "question", buttons: [no, yes] });
  yes.focus();
  return (await closed) === "yes";
}
