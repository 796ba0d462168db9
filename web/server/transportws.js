// graphql-transport-ws, which the standalone server speaks.

/** @type {import("./socket.js").Protocol} */
export async function transportWs(queries) {
  return {
    path: "/graphql",
    subprotocols: ["graphql-transport-ws"],
    ping: { type: "ping" },
    hear({ type, id, payload }, talk) {
      if (type === "connection_ack") {
        queries.forEach((query, at) => talk.send({ id: String(at), type: "subscribe", payload: { query } }));
        talk.live();
      } else if (type === "ping") talk.send({ type: "pong" });
      else if (type === "next" && payload.data) talk.next(Number(id), payload.data);
      else if (type === "complete") talk.close();
    },
  };
}
