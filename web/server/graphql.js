// Asks the server over HTTP and sorts what can go wrong into three kinds.

const ENDPOINT = "/graphql";
const PATIENCE_MS = 15_000;
// Not "Unauthorized": that is about one field, which this person's role may not use.
const NOBODY_KNOWN = new Set(["UnauthorizedException", "UNAUTHENTICATED"]);

/** The server does not answer, or says that it cannot now: the same request may work later. */
export class ServerGone extends Error {}

/** The server does not know who is asking any more. */
export class SessionOver extends Error {}

/** The server understood and said no; the message is for the person. */
export class Refused extends Error {
  /** @param {string} message @param {string} type */
  constructor(message, type) {
    super(message);
    this.isForbidden = type === "Unauthorized";
  }
}

/** @typedef {{message: string, errorType?: string, extensions?: {errorType?: string, code?: string}}} GraphQLError */

/**
 * @param {string} document
 * @param {Record<string, unknown>} [variables]
 * @returns {Promise<any>} the answer's data
 */
export async function ask(document, variables = {}) {
  const response = await post(JSON.stringify({ query: document, variables }));
  if (response.status === 401) throw new SessionOver(`status ${response.status}`);
  if (response.status >= 500) throw new ServerGone(`status ${response.status}`);
  const answer = await response.json().catch(() => {
    throw new ServerGone("the answer is not JSON");
  });
  if (answer.errors?.length) throw failure(answer.errors);
  return answer.data;
}

/**
 * @param {string} body
 * @returns {Promise<Response>}
 */
async function post(body) {
  const headers = { "content-type": "application/json", accept: "application/json" };
  try {
    return await fetch(ENDPOINT, { method: "POST", headers, body, signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    throw new ServerGone(String(error));
  }
}

/**
 * @param {GraphQLError[]} errors
 * @returns {Error}
 */
function failure([first]) {
  // AppSync puts the type beside the message, servers that follow the specification put it in extensions.
  const type = first.errorType ?? first.extensions?.errorType ?? first.extensions?.code ?? "";
  return NOBODY_KNOWN.has(type) ? new SessionOver(first.message) : new Refused(first.message, type);
}
