// Keeps what is typed while a change is saved: nothing is lost, and nothing is taken for a shortcut.

/** @typedef {"stay" | "up" | "down" | "next" | "previous" | "left"} Way where the focus goes when an editor closes */

const QUIET_MS = 120; // a barcode gun types a character every few milliseconds

/** @param {Record<string, Way>} ways by key */
export function keptKeys(ways) {
  let text = "";
  /** @type {Way | null} */
  let way = null;
  let last = 0;

  /** @param {KeyboardEvent} event */
  const keep = ({ key, shiftKey, ctrlKey, metaKey, altKey }) => {
    last = performance.now();
    if (key === "Tab") way = shiftKey ? "previous" : "next";
    else if (key in ways && text === "") way = ways[key];
    else if (key === "Backspace") text = text.slice(0, -1);
    else if (key.length === 1 && !ctrlKey && !metaKey && !altKey) text += key;
  };
  const quiet = async () => {
    for (let wait = last + QUIET_MS - performance.now(); last > 0 && wait > 0; wait = last + QUIET_MS - performance.now()) {
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  };
  const take = () => {
    const taken = text;
    text = "";
    return taken;
  };
  return { keep, quiet, take, way: () => way };
}
