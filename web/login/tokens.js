// Cognito's tokens: authorization code with PKCE, tokens for this tab only, renewed by a refresh token.
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
 * @returns {Promise<void>} rejects with UnreachableError
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
    automaticSilentRenew: false, // renewed on demand, not all day in an idle tab
    // Set here, not fetched: saves a request, and an address in the content security policy.
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
 * @param {object} kept returned by `completeLogin`
 * @returns {Promise<never>} never: the browser leaves this page
 */
export async function goToLogin(kept) {
  await loggedIn().signinRedirect({ state: kept });
  return new Promise(() => {});
}

/** @returns {Promise<any>} the saved state; rejects where the login failed */
export async function completeLogin() {
  user = await loggedIn().signinRedirectCallback();
  return user.state;
}

/** @returns {Promise<string | null>} the access token; null on one machine. Rejects with SessionExpiredError or UnreachableError */
export async function authorization() {
  if (manager === null) return null;
  if ((user?.expires_in ?? 0) < RENEW_BEFORE_S) await renew();
  return user?.access_token ?? null;
}

/** @returns {Promise<boolean>} whether there is a new token */
export async function renewed() {
  if (manager === null) return false;
  await renew();
  return true;
}

/** @returns {Promise<void>} shared by all callers while one is in progress */
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

/** Revokes the refresh token and forgets all tokens. */
export async function revoke() {
  await loggedIn()
    .revokeTokens(["refresh_token"])
    .catch(() => {}); // the login page's own session ends anyway
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
