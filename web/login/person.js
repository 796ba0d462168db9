// Who works here, and what they may do. On one machine nobody is asked, and everything may be done.
import { currentUser } from "./tokens.js";

const WRITERS = ["Technicians", "Admins"];

/** @returns {{name: string, groups: string[]} | null} null on one machine */
export function person() {
  const profile = currentUser()?.profile;
  if (!profile) return null;
  const name = [profile.name, profile.email, profile["cognito:username"]].find((one) => typeof one === "string" && one);
  const groups = profile["cognito:groups"];
  return { name: String(name ?? "somebody"), groups: Array.isArray(groups) ? groups : [] };
}

/** @returns {boolean} whether slides may be changed and labels seen; the server decides, this is for what the page offers */
export function mayChange() {
  const groups = person()?.groups;
  return groups === undefined || groups.some((group) => WRITERS.includes(group));
}
