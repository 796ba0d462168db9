// Sends requests with the user's token.
import { UnreachableError } from "../shared/failures.js";
import { authorization, renewed } from "./tokens.js";

const PATIENCE_MS = 15_000;

/**
 * Sends the token where there is a login; a refused token is renewed once.
 * @param {string} address
 * @param {RequestInit} [options]
 * @returns {Promise<Response>} rejects with UnreachableError or SessionExpiredError
 */
export async function request(address, options = {}) {
  const response = await send(address, options);
  return response.status === 401 && (await renewed()) ? send(address, options) : response;
}

/**
 * @param {string} address
 * @param {RequestInit} options
 * @returns {Promise<Response>}
 */
async function send(address, options) {
  const headers = new Headers(options.headers);
  const token = await authorization();
  if (token !== null) headers.set("authorization", token);
  try {
    return await fetch(address, { ...options, headers, signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    throw new UnreachableError(String(error));
  }
}
