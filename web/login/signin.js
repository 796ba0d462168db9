// The way into the page: on AWS by the login page, on one machine straight on.
import { button, byId, element } from "../shared/element.js";
import { ServerGone, SessionOver } from "../shared/failures.js";
import { setGone } from "../shared/health.js";
import { readConfig } from "./config.js";
import { person } from "./currentuser.js";
import { closeImages, openImages } from "./images.js";
import { allKept, takeBack } from "./sessionstate.js";
import { comeBack, currentUser, forget, goToLogin, revoke, useLogin } from "./tokens.js";

/** @import {Config} from "./config.js" */

const AGAIN_MS = 5000;
const LOOK_MS = 3000; // for a tab that logged out: the browser may not tell it
// When somebody last logged out in this browser. Stored, and not only told: a page that is leaving may be gone before its
// message is on its way, and one that sleeps or comes back by "Back" has not heard it.
const OUT = "logged-out-at";
// What OUT was when this tab set out to log in: a login that began before somebody logged out is none after it.
const BEFORE = "logged-out-before";
const LEAVING = "leaving";
const LEFT = "?logged-out";

/** @type {Config | null} */
let config = null;
let leaving = false;

/** @returns {string | null} the GraphQL API's own host; null on one machine */
export function graphqlHost() {
  return config?.graphqlHost ?? null;
}

/** @returns {Promise<void>} when this person is in; otherwise never, because the browser is on its way elsewhere */
export async function enter() {
  config = await untilAnswered(readConfig);
  if (config === null) return;
  await untilAnswered(() => useLogin(/** @type {Config} */ (config)));
  // Until now the login page may have let other tabs in.
  if (sessionStorage.getItem(LEAVING)) tellOtherTabs();
  sessionStorage.removeItem(LEAVING);
  if (location.search === LEFT) return stopWith("You have logged out.", "Log in", () => setOut({}));
  if (currentUser() === null) await logIn(new URL(location.href).searchParams);
  else if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  if (isOut()) return leave();
  for (const moment of ["storage", "pageshow", "focus", "visibilitychange"]) addEventListener(moment, leaveWhenOut);
  setInterval(() => leaveWhenOut({ type: "look" }), LOOK_MS);
  try {
    await untilAnswered(openImages);
  } catch (error) {
    if (error instanceof SessionOver) return setOut(allKept());
    showWho();
    return stopWith(error instanceof Error ? error.message : String(error), "Log out", logOut);
  }
  showWho();
}

/** @param {URLSearchParams} answer of the login page, where this is the way back from it */
async function logIn(answer) {
  if (!answer.has("code") && !answer.has("error")) return setOut(allKept());
  try {
    takeBack(await comeBack());
  } catch {
    const why = answer.get("error_description") ?? "The login was not completed.";
    return stopWith(why, "Log in again", () => setOut(allKept()));
  } finally {
    if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  }
}

/** Logs in again, with what is in this person's hands. */
export async function logInAgain() {
  if (config === null) location.reload();
  else await setOut(allKept());
}

/**
 * Off to the login page.
 * @param {object} kept
 */
function setOut(kept) {
  sessionStorage.setItem(BEFORE, localStorage.getItem(OUT) ?? "");
  return goToLogin(kept);
}

async function logOut() {
  leaving = true;
  sessionStorage.setItem(LEAVING, "yes");
  // Before anything is waited for: the page may be gone by then, and the mark with it.
  tellOtherTabs();
  await closeImages();
  await revoke();
  const { loginDomain, clientId } = /** @type {Config} */ (config);
  location.assign(`${loginDomain}/logout?${new URLSearchParams({ client_id: clientId, logout_uri: `${location.origin}/` })}`);
}

function tellOtherTabs() {
  localStorage.setItem(OUT, String(Date.now()));
}

/**
 * Another tab has logged out: whoever sits down here next must not find this one open. Nor does it log in again by
 * itself: the login page may not have heard yet, and would let the same person in without a question.
 */
async function leaveWhenOut(/** @type {{type: string}} */ { type }) {
  if (!isOut()) return;
  if (leaving && type !== "pageshow") return; // it is on its way already; brought back by "Back", it is not
  await leave();
}

/** @returns {boolean} whether somebody has logged out since this tab set out to log in */
function isOut() {
  return (localStorage.getItem(OUT) ?? "") !== (sessionStorage.getItem(BEFORE) ?? "");
}

async function leave() {
  leaving = true; // once: a second time would begin the way anew
  await forget();
  location.replace(`${location.origin}/${LEFT}`);
  return new Promise(() => {});
}

function showWho() {
  const who = person();
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
async function untilAnswered(ask) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ServerGone)) throw error;
      setGone();
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/**
 * @param {string} why
 * @param {string} action
 * @param {() => void} act
 * @returns {Promise<never>} nothing more happens here
 */
function stopWith(why, action, act) {
  byId("loading").replaceChildren(element("span", { role: "alert" }, why), " ", button(action, act));
  return new Promise(() => {});
}
