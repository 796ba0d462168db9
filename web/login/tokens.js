// Who has logged in, by Cognito: authorization code with PKCE, tokens for this tab alone, renewed by a refresh token.
import { SessionExpiredError, UnreachableError } from "../shared/failures.js";
import { loadScript } from "../shared/script.js";

/** @import {User, UserManager} from "oidc-client-ts" */
/** @import {Config} from "./config.js" */
/** @typedef {typeof import("oidc-client-ts")} Library */

const SCRIPT = "/vendor/oidc-client-ts-3.5.0.min.js";
const RENEW_BEFORE_S = 60;

/** @type {Library} */
let library;
/** @type {UserManager | null} */
let manager = null;
/** @type {User | null} */
let user = null;
/** @type {Promise<void> | null} */
let renewing = null;

/**
 * @param {Config} config
 * @returns {Promise<void>} rejects with ServerGone
 */
export async function useLogin({ authority, clientId, loginDomain }) {
  library = await loadScript(SCRIPT, "oidc").catch((error) => {
    throw new UnreachableError(String(error));
  });
  const store = new library.WebStorageStateStore({ store: sessionStorage });
  manager = new library.UserManager({
    authority,
    client_id: clientId,
    redirect_uri: `${location.origin}/`,
    scope: "openid",
    userStore: store,
    stateStore: store,
    automaticSilentRenew: false, // when it is needed, rather than all day on a page that nobody looks at
    // Given, not asked for: one request less, and one address less that the page may speak to.
    metadata: {
      issuer: authority,
      authorization_endpoint: `${loginDomain}/oauth2/authorize`,
      token_endpoint: `${loginDomain}/oauth2/token`,
      revocation_endpoint: `${loginDomain}/oauth2/revoke`,
    },
  });
  user = await manager.getUser();
}

/** @returns {User | null} */
export function tokenUser() {
  return user;
}

/**
 * @param {object} kept what is handed back by `comeBack`
 * @returns {Promise<never>} the browser leaves this page
 */
export async function goToLogin(kept) {
  await loggedIn().signinRedirect({ state: kept });
  return new Promise(() => {});
}

/** @returns {Promise<any>} what was kept; rejects where the login failed */
export async function completeLogin() {
  user = await loggedIn().signinRedirectCallback();
  return user.state;
}

/** @returns {Promise<string | null>} the access token; null on one machine. Rejects with SessionOver or ServerGone */
export async function authorization() {
  if (manager === null) return null;
  if ((user?.expires_in ?? 0) < RENEW_BEFORE_S) await renew();
  return user?.access_token ?? null;
}

/** @returns {Promise<boolean>} whether there is another token than the one that was refused */
export async function renewed() {
  if (manager === null) return false;
  await renew();
  return true;
}

/** @returns {Promise<void>} once, however many ask for it */
function renew() {
  renewing ??= renewNow().finally(() => (renewing = null));
  return renewing;
}

async function renewNow() {
  if (!user?.refresh_token) throw new SessionExpiredError("nobody is logged in");
  try {
    user = await loggedIn().signinSilent();
  } catch (error) {
    if (!(error instanceof library.ErrorResponse)) throw new UnreachableError(String(error));
    await forgetTokens();
    throw new SessionExpiredError(error.message);
  }
}

/** Forgets the tokens here; those that can be are made worthless. */
export async function revoke() {
  await loggedIn()
    .revokeTokens(["refresh_token"])
    .catch(() => {}); // the login page's own session ends anyhow
  await forgetTokens();
}

export async function forgetTokens() {
  user = null;
  await loggedIn().removeUser();
}

/** @returns {UserManager} */
function loggedIn() {
  return /** @type {UserManager} */ (manager);
}
