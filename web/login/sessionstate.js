// Keeps what a person was doing across a new login: saved before the browser leaves for the login page, restored after it.

/** @typedef {{save: () => unknown, restore: (saved: any) => void}} Keeper */

/** @type {Map<string, Keeper>} */
const keepers = new Map();

/**
 * @param {string} name
 * @param {Keeper} keeper `restore` is called, before anything is shown, with what `save` returned
 */
export function registerState(name, keeper) {
  keepers.set(name, keeper);
}

/** @returns {Record<string, unknown>} what can be written as JSON */
export function savedState() {
  return Object.fromEntries([...keepers].map(([name, { save }]) => [name, save()]));
}

/** @param {unknown} saved what `savedState` returned */
export function restoreState(saved) {
  if (saved === null || typeof saved !== "object") return;
  for (const [name, value] of Object.entries(saved)) if (value !== null) keepers.get(name)?.restore(value);
}
