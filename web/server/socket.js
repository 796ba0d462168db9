// Subscriptions: one WebSocket that reconnects by itself, for either protocol.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const PULSE_MS = 15_000;

/** @typedef {{query: string, next: (data: any) => void}} Subscription */
/**
 * @typedef {object} Talk what a protocol can do with a message
 * @property {(message: object) => void} send
 * @property {() => void} close reconnects, where not all subscriptions work
 * @property {() => void} live changes arrive from now on
 * @property {(at: number, data: any) => void} next a change, for one of the queries
 * @property {(everyMs: number) => void} pulse half of the longest time between two messages
 */
/**
 * @typedef {object} Conversation
 * @property {string} path
 * @property {string[]} subprotocols
 * @property {object} [ping] a message that the server answers
 * @property {(message: any, talk: Talk) => void} hear
 */
/** @typedef {(queries: string[]) => Promise<Conversation>} Protocol */

/**
 * @param {Subscription[]} subscriptions
 * @param {Protocol} protocol
 * @param {(live: boolean) => void} onChange called when the socket starts or stops delivering
 */
export function keepSubscribed(subscriptions, protocol, onChange) {
  let wait = FIRST_WAIT_MS;
  const queries = subscriptions.map(({ query }) => query);
  const onLive = () => {
    wait = FIRST_WAIT_MS;
    onChange(true);
  };
  const onEnd = () => {
    onChange(false);
    // Half of the wait is random: a hundred pages must not all reconnect at the same moment.
    setTimeout(connect, wait * (0.5 + Math.random() / 2));
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  };
  const connect = async () => {
    try {
      openSocket(subscriptions, await protocol(queries), { onLive, onEnd });
    } catch {
      onEnd(); // no token: requests over HTTP report the reason
    }
  };
  connect();
}

/**
 * @param {Subscription[]} subscriptions
 * @param {Conversation} conversation
 * @param {{onLive: () => void, onEnd: () => void}} callbacks
 */
function openSocket(subscriptions, { path, subprotocols, ping, hear }, { onLive, onEnd }) {
  const address = new URL(path, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address, subprotocols);
  const send = (/** @type {object} */ message) => socket.send(JSON.stringify(message));
  const pulse = startPulse(socket, () => ping && send(ping));
  /** @type {Talk} */
  const talk = {
    send,
    close: () => socket.close(),
    live: onLive,
    next: (at, data) => subscriptions[at]?.next(data),
    pulse: pulse.every,
  };
  socket.addEventListener("open", () => send({ type: "connection_init" }));
  socket.addEventListener("message", ({ data }) => {
    pulse.heard();
    hear(JSON.parse(data), talk);
  });
  socket.addEventListener("close", () => {
    pulse.stop();
    onEnd();
  });
}

/**
 * Detects a broken connection by the absence of messages.
 * @param {WebSocket} socket
 * @param {() => void} ping
 */
function startPulse(socket, ping) {
  let silent = 0;
  let timer = 0;
  const beat = () => {
    silent += 1;
    if (silent > 2) socket.close();
    else if (socket.readyState === WebSocket.OPEN) ping();
  };
  const every = (/** @type {number} */ ms) => {
    clearInterval(timer);
    timer = setInterval(beat, ms);
  };
  every(PULSE_MS);
  return { every, heard: () => (silent = 0), stop: () => clearInterval(timer) };
}
