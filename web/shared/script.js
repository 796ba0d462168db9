// Loads classic scripts on first use.
import { element } from "./element.js";

/** @type {Map<string, Promise<any>>} */
const loading = new Map();

/**
 * @param {string} src
 * @param {string} name of the global variable that the script sets
 * @returns {Promise<any>} that variable; rejects where the script cannot be loaded, and may be called again
 */
export function loadScript(src, name) {
  const known = loading.get(src);
  if (known) return known;
  const script = element("script", { src });
  const loaded = new Promise((resolve, reject) => {
    script.addEventListener("load", () => resolve(Reflect.get(globalThis, name)));
    script.addEventListener("error", () => {
      loading.delete(src);
      script.remove();
      reject(new Error(`${name} could not be loaded`));
    });
  });
  loading.set(src, loaded);
  document.head.append(script);
  return loaded;
}
