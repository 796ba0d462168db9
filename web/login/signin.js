// The way into the page: on AWS by the login page, on one machine straight on.
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
const CHECK_MS = 3000; // for a tab that logged out: the browser may not tell it
// When somebody last logged out in this browser. Stored, and not only told: a page that is leaving may be gone before its
// message is on its way, and one that sleeps or comes back by "Back" has not heard it.
const LOGGED_OUT_AT = "logged-out-at";
// What OUT was when this tab set out to log in: a login that began before somebody logged out is none after it.
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

/** @returns {Promise<void>} when this person is in; otherwise never, because the browser is on its way elsewhere */
export async function signIn() {
  config = await retryUntilAnswered(readConfig);
  if (config === null) return;
  await retryUntilAnswered(() => useLogin(/** @type {Config} */ (config)));
  // Until now the login page may have let other tabs in.
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

/** @param {URLSearchParams} answer of the login page, where this is the way back from it */
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

/** Logs in again, with what is in this person's hands. */
export async function logInAgain() {
  if (config === null) location.reload();
  else await redirectToLogin(savedState());
}

/**
 * Off to the login page.
 * @param {object} kept
 */
function redirectToLogin(kept) {
  sessionStorage.setItem(LOGGED_OUT_BEFORE, localStorage.getItem(LOGGED_OUT_AT) ?? "");
  return goToLogin(kept);
}

async function logOut() {
  isLeaving = true;
  sessionStorage.setItem(LEAVING, "yes");
  // Before anything is waited for: the page may be gone by then, and the mark with it.
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
 * Another tab has logged out: whoever sits down here next must not find this one open. Nor does it log in again by
 * itself: the login page may not have heard yet, and would let the same person in without a question.
 */
async function leaveIfLoggedOut(/** @type {{type: string}} */ { type }) {
  if (!hasLoggedOut()) return;
  if (isLeaving && type !== "pageshow") return; // it is on its way already; brought back by "Back", it is not
  await leavePage();
}

/** @returns {boolean} whether somebody has logged out since this tab set out to log in */
function hasLoggedOut() {
  return (localStorage.getItem(LOGGED_OUT_AT) ?? "") !== (sessionStorage.getItem(LOGGED_OUT_BEFORE) ?? "");
}

async function leavePage() {
  isLeaving = true; // once: a second time would begin the way anew
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
 * @returns {Promise<never>} nothing more happens here
 */
function stopWithMessage(why, action, act) {
  byId("loading").replaceChildren(element("span", { role: "alert" }, why), " ", button(action, act));
  return new Promise(() => {});
}
