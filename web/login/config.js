// Reads the settings of the login from /config.json, which only an installation on AWS has.

import { UnreachableError } from "../shared/failures.js";

/** @typedef {{authority: string, clientId: string, loginDomain: string, graphqlHost: string}} Config */

/** @returns {Promise<Config | null>} null on one machine, which has no login; rejects with UnreachableError */
export async function readConfig() {
  const response = await fetch("/config.json", { cache: "no-cache" }).catch((error) => {
    throw new UnreachableError(String(error));
  });
  if (response.status === 204 || response.status === 404) return null;
  if (!response.ok) throw new UnreachableError(`status ${response.status}`);
  return response.json();
}
