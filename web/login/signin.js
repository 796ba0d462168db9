// Signs in and out: on AWS through the login page; on one machine there is no login.
import { button, byId, element } from "../shared/element.js";
import { SessionExpiredError, UnreachableError } from "../shared/failures.js";
import { setUnreachable } from "../shared/health.js";
import { readConfig } from "./config.js";
import { currentUser } from "./currentuser.js";
import { closeImages, openImages } from "./images.js";
import { restoreState, savedState } from "./sessionstate.js";
import { completeLogin, forgetTokens, goToLogin, revoke, tokenUser, useLogin } from "./tokens.js";

/** @import {Config} from "./config.js" */

const RETRY_MS = 5000;
const CHECK_MS = 3000; // detects a logout in another tab that the browser did not report
// When a user last logged out in this browser. Stored, because a message to other tabs may be lost: the page is closing, or
// the other tab is suspended or restored by "Back".
const LOGGED_OUT_AT = "logged-out-at";
// The value of LOGGED_OUT_AT when this tab went to the login page: a logout ends the logins that began before it.
const LOGGED_OUT_BEFORE = "logged-out-before";
const LEAVING = "leaving";
const LOGGED_OUT_QUERY = "?logged-out";

/** @type {Config | null} */
let config = null;
let isLeaving = false;

/** @returns {string | null} the GraphQL API's own host; null on one machine */
export function graphqlHost() {
  return config?.graphqlHost ?? null;
}

/** @returns {Promise<void>} when the user is signed in; never where the browser leaves for another page */
export async function signIn() {
  config = await retryUntilAnswered(readConfig);
  if (config === null) return;
  await retryUntilAnswered(() => useLogin(/** @type {Config} */ (config)));
  // Until now other tabs may have signed in again.
  if (sessionStorage.getItem(LEAVING)) markLoggedOut();
  sessionStorage.removeItem(LEAVING);
  if (location.search === LOGGED_OUT_QUERY) return stopWithMessage("You have logged out.", "Log in", () => redirectToLogin({}));
  if (tokenUser() === null) await logIn(new URL(location.href).searchParams);
  else if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  if (hasLoggedOut()) return leavePage();
  for (const moment of ["storage", "pageshow", "focus", "visibilitychange"]) addEventListener(moment, leaveIfLoggedOut);
  setInterval(() => leaveIfLoggedOut({ type: "look" }), CHECK_MS);
  try {
    await retryUntilAnswered(openImages);
  } catch (error) {
    if (error instanceof SessionExpiredError) return redirectToLogin(savedState());
    showUser();
    return stopWithMessage(error instanceof Error ? error.message : String(error), "Log out", logOut);
  }
  showUser();
}

/** @param {URLSearchParams} answer the query that the login page returned with */
async function logIn(answer) {
  if (!answer.has("code") && !answer.has("error")) return redirectToLogin(savedState());
  try {
    restoreState(await completeLogin());
  } catch {
    const why = answer.get("error_description") ?? "The login was not completed.";
    return stopWithMessage(why, "Log in again", () => redirectToLogin(savedState()));
  } finally {
    if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  }
}

/** Logs in again, and keeps the state of the page. */
export async function logInAgain() {
  if (config === null) location.reload();
  else await redirectToLogin(savedState());
}

/**
 * Leaves for the login page.
 * @param {object} kept
 */
function redirectToLogin(kept) {
  sessionStorage.setItem(LOGGED_OUT_BEFORE, localStorage.getItem(LOGGED_OUT_AT) ?? "");
  return goToLogin(kept);
}

async function logOut() {
  isLeaving = true;
  sessionStorage.setItem(LEAVING, "yes");
  // Before any await: the page may be closed by then.
  markLoggedOut();
  await closeImages();
  await revoke();
  const { loginDomain, clientId } = /** @type {Config} */ (config);
  location.assign(`${loginDomain}/logout?${new URLSearchParams({ client_id: clientId, logout_uri: `${location.origin}/` })}`);
}

function markLoggedOut() {
  localStorage.setItem(LOGGED_OUT_AT, String(Date.now()));
}

/**
 * Leaves the page after a logout in another tab, so that the next user does not find it open. It does not log in again by
 * itself: the login page might still sign in the same user without asking.
 */
async function leaveIfLoggedOut(/** @type {{type: string}} */ { type }) {
  if (!hasLoggedOut()) return;
  if (isLeaving && type !== "pageshow") return; // already leaving, unless restored by "Back"
  await leavePage();
}

/** @returns {boolean} whether a user has logged out since this tab went to the login page */
function hasLoggedOut() {
  return (localStorage.getItem(LOGGED_OUT_AT) ?? "") !== (sessionStorage.getItem(LOGGED_OUT_BEFORE) ?? "");
}

async function leavePage() {
  isLeaving = true; // only once
  await forgetTokens();
  location.replace(`${location.origin}/${LOGGED_OUT_QUERY}`);
  return new Promise(() => {});
}

function showUser() {
  const who = currentUser();
  if (!who) return;
  byId("who-name").textContent = who.name;
  byId("who").title = `${who.name}: ${who.groups.join(", ") || "no group"}`;
  byId("who").hidden = false;
  byId("log-out").addEventListener("click", logOut);
}

/**
 * @template T
 * @param {() => Promise<T>} ask
 * @returns {Promise<T>}
 */
async function retryUntilAnswered(ask) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      setUnreachable();
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/**
 * @param {string} why
 * @param {string} action
 * @param {() => void} act
 * @returns {Promise<never>} never
 */
function stopWithMessage(why, action, act) {
  byId("loading").replaceChildren(element("span", { role: "alert" }, why), " ", button(action, act));
  return new Promise(() => {});
}
