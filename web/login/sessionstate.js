// What is in a person's hands when they have to log in again, and is there again afterwards.

/** @typedef {{give: () => unknown, take: (kept: any) => void}} Keeper */

/** @type {Map<string, Keeper>} */
const keepers = new Map();

/**
 * @param {string} name
 * @param {Keeper} keeper `take` is called, before anything is shown, with what `give` gave
 */
export function keep(name, keeper) {
  keepers.set(name, keeper);
}

/** @returns {Record<string, unknown>} what can be written as JSON */
export function allKept() {
  return Object.fromEntries([...keepers].map(([name, { give }]) => [name, give()]));
}

/** @param {unknown} kept what `allKept` gave */
export function takeBack(kept) {
  if (kept === null || typeof kept !== "object") return;
  for (const [name, value] of Object.entries(kept)) if (value !== null) keepers.get(name)?.take(value);
}
