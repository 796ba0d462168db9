// What can go wrong with a request, sorted into three kinds.

/** The server does not answer, or says that it cannot now: the same request may work later. */
export class UnreachableError extends Error {}

/** The server does not know who is asking any more. */
export class SessionExpiredError extends Error {}

/** The server understood and said no; the message is for the person. */
export class RefusedError extends Error {
  /** @param {string} message @param {string} type */
  constructor(message, type) {
    super(message);
    this.isForbidden = type === "Unauthorized";
  }
}
