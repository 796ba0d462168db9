// AppSync's own realtime protocol.
// Source: "Building a real-time WebSocket client in AWS AppSync", AWS AppSync GraphQL developer guide.
import { authorization } from "../login/tokens.js";

/**
 * @param {string} host of the GraphQL API, AppSync's own host name
 * @returns {import("./socket.js").Protocol}
 */
export function appSync(host) {
  return async (queries) => {
    const header = { host, Authorization: await authorization() };
    const waiting = new Set(queries.keys());
    return {
      path: "/graphql/realtime",
      // Not in the address, which is logged.
      subprotocols: ["graphql-ws", `header-${base64Url(JSON.stringify(header))}`],
      hear({ type, id, payload }, talk) {
        if (type === "connection_ack") {
          // The server sends something within this time, at least "ka".
          talk.pulse(payload.connectionTimeoutMs / 2);
          queries.forEach((query, at) => talk.send(start(String(at), query, header)));
        } else if (type === "start_ack") {
          waiting.delete(Number(id));
          if (waiting.size === 0) talk.live();
        } else if (type === "data" && payload.data) talk.next(Number(id), payload.data);
        else if (["error", "connection_error", "complete"].includes(type)) talk.close();
      },
    };
  };
}

/**
 * @param {string} id
 * @param {string} query
 * @param {object} authorization
 */
function start(id, query, authorization) {
  return { id, type: "start", payload: { data: JSON.stringify({ query, variables: {} }), extensions: { authorization } } };
}

/** @param {string} text of ASCII */
function base64Url(text) {
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
