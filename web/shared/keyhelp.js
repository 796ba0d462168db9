// The list of keyboard shortcuts, made from the bindings themselves.
import { openDialog } from "./dialog.js";
import { element } from "./element.js";
import { choose, setting } from "./settings.js";
import { currentPlace, groups } from "./shortcuts.js";

/** @type {Record<string, string>} */
const SIGNS = { ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", PageUp: "Page ↑", PageDown: "Page ↓", Escape: "Esc" };

/** @type {[title: string, rows: [keys: string[], text: string][]][]} */
const WHILE_EDITING = [
  [
    "While editing",
    [
      [["Enter"], "save"],
      [["Escape"], "cancel"],
      [["ArrowDown"], "save, and edit the next slide"],
      [["ArrowUp"], "save, and edit the previous slide"],
      [["Tab"], "save, and edit the case ID"],
    ],
  ],
];

export function openKeyHelp() {
  const here = currentPlace();
  const own = groups.filter((group) => group.place === here).map(groupOf);
  const rest = here === "list" ? WHILE_EDITING : [];
  const sections = [...own, ...rest].map(([title, rows]) => section(title, rows));
  openDialog("Keyboard shortcuts", [element("div", { className: "sheet" }, ...sections), letterChoice()], { className: "keys" });
}

/**
 * @param {import("./shortcuts.js").Group} group
 * @returns {[string, [string[], string][]]}
 */
function groupOf({ title, bindings }) {
  return [title, bindings.map(({ keys, text }) => [keys, text])];
}

/**
 * @param {string} title
 * @param {[keys: string[], text: string][]} rows
 * @returns {HTMLElement}
 */
function section(title, rows) {
  const entries = rows.flatMap(([keys, text]) => [
    element("dt", {}, ...keys.map((key) => element("kbd", {}, shown(key)))),
    element("dd", {}, text),
  ]);
  return element("section", {}, element("h3", {}, title), element("dl", {}, ...entries));
}

/**
 * @param {string} key
 * @returns {string}
 */
function shown(key) {
  return key
    .split(/(?<=.)\+(?=.)/)
    .map((part) => SIGNS[part] ?? part)
    .join(" + ");
}

/** Lets users switch off single-letter shortcuts, for dictation or against slips (WCAG 2.1.4). */
function letterChoice() {
  const box = element("input", { type: "checkbox", checked: setting("letterKeys") });
  box.addEventListener("change", () => choose("letterKeys", box.checked));
  return element("label", { className: "choice" }, box, "Enable single-letter shortcuts");
}
