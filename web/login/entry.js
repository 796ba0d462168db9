// The way into the page: on AWS by the login page, on one machine straight on.
import { ServerGone, SessionOver } from "../server/failures.js";
import { setGone } from "../server/health.js";
import { button, byId, element } from "../shared/element.js";
import { readConfig } from "./config.js";
import { closeImages, openImages } from "./images.js";
import { allKept, takeBack } from "./kept.js";
import { person } from "./person.js";
import { comeBack, currentUser, forget, goToLogin, revoke, useLogin } from "./tokens.js";

/** @import {Config} from "./config.js" */

const AGAIN_MS = 5000;

/** @type {Config | null} */
let config = null;
const tabs = new BroadcastChannel("login");

/** @returns {string | null} the GraphQL API's own host; null on one machine */
export function graphqlHost() {
  return config?.graphqlHost ?? null;
}

/** @returns {Promise<void>} when this person is in; otherwise never, because the browser is on its way elsewhere */
export async function enter() {
  config = await untilAnswered(readConfig);
  if (config === null) return;
  await untilAnswered(() => useLogin(/** @type {Config} */ (config)));
  if (currentUser() === null) await logIn(new URL(location.href).searchParams);
  else if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  tabs.addEventListener("message", leave);
  try {
    await untilAnswered(openImages);
  } catch (error) {
    if (error instanceof SessionOver) return goToLogin(allKept());
    showWho();
    return stopWith(error instanceof Error ? error.message : String(error), "Log out", logOut);
  }
  showWho();
}

/** @param {URLSearchParams} answer of the login page, where this is the way back from it */
async function logIn(answer) {
  if (!answer.has("code") && !answer.has("error")) return goToLogin(allKept());
  try {
    takeBack(await comeBack());
  } catch {
    const why = answer.get("error_description") ?? "The login was not completed.";
    return stopWith(why, "Log in again", () => goToLogin(allKept()));
  } finally {
    if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  }
}

/** Logs in again, with what is in this person's hands. */
export async function logInAgain() {
  if (config === null) location.reload();
  else await goToLogin(allKept());
}

async function logOut() {
  await closeImages();
  await revoke();
  tabs.postMessage("out");
  const { loginDomain, clientId } = /** @type {Config} */ (config);
  location.assign(`${loginDomain}/logout?${new URLSearchParams({ client_id: clientId, logout_uri: `${location.origin}/` })}`);
}

/** Another tab has logged out: whoever sits down here next must not find this one open. */
async function leave() {
  await forget();
  location.replace(location.origin);
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
