// The three kinds of failure of a request.

/** The server does not answer or is unavailable: the same request may succeed later. */
export class UnreachableError extends Error {}

/** The session has expired. */
export class SessionExpiredError extends Error {}

/** The server refused the request; the message is for the user. */
export class RefusedError extends Error {
  /** @param {string} message @param {string} type */
  constructor(message, type) {
    super(message);
    this.isForbidden = type === "Unauthorized";
  }
}
