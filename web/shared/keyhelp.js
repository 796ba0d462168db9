// The list of keyboard shortcuts, made from the bindings themselves.
import { openDialog } from "./dialog.js";
import { element } from "./element.js";
import { choose, setting, text, write } from "./settings.js";
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
  openDialog("Keyboard shortcuts", [element("div", { className: "sheet" }, ...sections), letterChoice(), scannerSettings()], { className: "keys" });
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

/** What the page must know of this workstation's barcode scanner. */
function scannerSettings() {
  const before = writable("scanPrefix", "Characters before each code", { maxLength: 16 });
  const after = writable("scanSuffix", "Characters after each code", { maxLength: 16 });
  const pause = writable("scanPause", "Longest pause between two keys, in milliseconds", { type: "number", min: "80", max: "500" });
  const parts = ["Barcode scanner: sends ", before, " before and ", after, " after each code (Enter and Tab are known), a key within ", pause, " ms"];
  return element("p", { className: "choice" }, ...parts);
}

/**
 * @param {import("./settings.js").TextSetting} name
 * @param {string} ariaLabel
 * @param {Partial<HTMLInputElement>} more
 */
function writable(name, ariaLabel, more) {
  const input = element("input", { type: "text", value: text(name), size: 6, ariaLabel, ...more });
  input.addEventListener("input", () => write(name, input.value));
  return input;
}
