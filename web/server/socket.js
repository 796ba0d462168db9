// Subscriptions over graphql-transport-ws: one socket that comes back by itself.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const PING_EVERY_MS = 15_000;

/** @typedef {{query: string, next: (data: any) => void}} Subscription */

/**
 * @param {Subscription[]} subscriptions
 * @param {(live: boolean) => void} onChange told when the socket begins or ceases to deliver
 */
export function keepSubscribed(subscriptions, onChange) {
  let wait = FIRST_WAIT_MS;
  const connect = () => {
    openSocket(subscriptions, {
      onLive() {
        wait = FIRST_WAIT_MS;
        onChange(true);
      },
      onEnd() {
        onChange(false);
        // Half of the wait is left to chance: a hundred pages must not all come back in the same instant.
        setTimeout(connect, wait * (0.5 + Math.random() / 2));
        wait = Math.min(wait * 2, LONGEST_WAIT_MS);
      },
    });
  };
  connect();
}

/**
 * @param {Subscription[]} subscriptions
 * @param {{onLive: () => void, onEnd: () => void}} told
 */
function openSocket(subscriptions, { onLive, onEnd }) {
  const address = new URL("/graphql", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address, "graphql-transport-ws");
  const send = (/** @type {object} */ message) => socket.send(JSON.stringify(message));
  const pulse = startPulse(socket, send);
  socket.addEventListener("open", () => send({ type: "connection_init" }));
  socket.addEventListener("message", ({ data }) => {
    const { type, id, payload } = JSON.parse(data);
    pulse.heard();
    if (type === "connection_ack") {
      subscriptions.forEach(({ query }, at) => send({ id: String(at), type: "subscribe", payload: { query } }));
      onLive();
    } else if (type === "ping") send({ type: "pong" });
    else if (type === "next" && payload.data) subscriptions[Number(id)].next(payload.data);
    else if (type === "complete") socket.close(); // begin anew rather than be half deaf
  });
  socket.addEventListener("close", () => {
    pulse.stop();
    onEnd();
  });
}

/**
 * A connection that was cut without a word is noticed by its silence.
 * @param {WebSocket} socket
 * @param {(message: object) => void} send
 */
function startPulse(socket, send) {
  let silent = 0;
  const timer = setInterval(() => {
    silent += 1;
    if (silent > 2) socket.close();
    else if (socket.readyState === WebSocket.OPEN) send({ type: "ping" });
  }, PING_EVERY_MS);
  return { heard: () => (silent = 0), stop: () => clearInterval(timer) };
}
