// Sends GraphQL requests over HTTP.
import { request } from "../login/request.js";
import { RefusedError, SessionExpiredError, UnreachableError } from "../shared/failures.js";

const ENDPOINT = "/graphql";
// Not "Unauthorized": that is about a single field that the user's groups may not use.
const NOBODY_KNOWN = new Set(["UnauthorizedException", "UNAUTHENTICATED"]);

/** @typedef {{message: string, errorType?: string, extensions?: {errorType?: string, code?: string}}} GraphQLError */

/**
 * @param {string} document
 * @param {Record<string, unknown>} [variables]
 * @returns {Promise<any>} the data of the answer
 */
export async function execute(document, variables = {}) {
  const headers = { "content-type": "application/json", accept: "application/json" };
  const response = await request(ENDPOINT, { method: "POST", headers, body: JSON.stringify({ query: document, variables }) });
  if (response.status === 401) throw new SessionExpiredError(`status ${response.status}`);
  if (response.status >= 500) throw new UnreachableError(`status ${response.status}`);
  const answer = await response.json().catch(() => {
    throw new UnreachableError("the answer is not JSON");
  });
  if (answer.errors?.length) throw failure(answer.errors);
  return answer.data;
}

/**
 * @param {GraphQLError[]} errors
 * @returns {Error}
 */
function failure([first]) {
  // AppSync puts the type beside the message, servers that follow the specification put it in extensions.
  const type = first.errorType ?? first.extensions?.errorType ?? first.extensions?.code ?? "";
  return NOBODY_KNOWN.has(type) ? new SessionExpiredError(first.message) : new RefusedError(first.message, type);
}
