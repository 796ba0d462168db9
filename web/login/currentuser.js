// The current user and their permissions. On one machine nobody logs in, and everything is permitted.
import { tokenUser } from "./tokens.js";

const ADMINS = "Admins";
const WRITERS = ["Technicians", ADMINS];

/** @returns {{name: string, groups: string[]} | null} null on one machine */
export function currentUser() {
  const profile = tokenUser()?.profile;
  if (!profile) return null;
  const name = [profile.name, profile.email, profile["cognito:username"]].find((one) => typeof one === "string" && one);
  const groups = profile["cognito:groups"];
  return { name: String(name ?? "somebody"), groups: Array.isArray(groups) ? groups : [] };
}

// The server enforces permissions; these decide only what the page offers.

/** @returns {boolean} whether slides may be changed and labels seen */
export function mayChange() {
  return isIn(WRITERS);
}

/** @returns {boolean} whether slides may be deleted */
export function mayDelete() {
  return isIn([ADMINS]);
}

/** @param {string[]} wanted */
function isIn(wanted) {
  const groups = currentUser()?.groups;
  return groups === undefined || groups.some((group) => wanted.includes(group));
}
