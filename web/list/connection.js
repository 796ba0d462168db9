// Shows the state of the connection to the server.
import { graphqlHost, logInAgain } from "../login/signin.js";
import { button, byId, element, setText } from "../shared/element.js";
import { clockTime } from "../shared/format.js";

/** @import {Health} from "../shared/health.js" */

/** @type {Record<Health, string>} */
const WORDS = {
  connecting: "Connecting …",
  live: "Live",
  polling: "Updating every 5 s",
  gone: "No connection",
  over: "Session expired",
};
/** @type {Record<Health, string>} */
const TITLES = {
  connecting: "",
  live: "Changes by others appear immediately",
  polling: "No live connection: changes by others are fetched every 5 seconds",
  gone: "The server does not respond",
  over: "Your session has expired",
};

/**
 * @param {Health} health
 * @param {Date | null} answered
 */
export function showHealth(health, answered) {
  const sign = byId("health");
  sign.dataset.health = health;
  sign.title = TITLES[health];
  setText(sign, WORDS[health]);
  byId("offline").hidden = health !== "gone";
  const since = answered ? ` Showing data from ${clockTime(answered)}.` : "";
  setText(byId("offline"), `No connection to the server.${since} Reconnecting automatically …`);
  if (health === "gone") byId("loading").hidden = true;
  if (health === "over") tellOver();
}

/** Shows a dialog that cannot be closed: nothing works without a session. */
function tellOver() {
  const unsaved = graphqlHost() === null ? "Unsaved changes will be lost." : "What you have typed is kept.";
  const again = button("Log in again", logInAgain, { className: "primary" });
  const heading = element("h2", { id: "over-title" }, "Your session has expired");
  const text = element("p", {}, `Log in again to continue where you left off. ${unsaved}`);
  const dialog = element("dialog", { className: "question" }, heading, text, element("div", { className: "buttons" }, again));
  dialog.setAttribute("aria-labelledby", heading.id);
  dialog.setAttribute("closedby", "none");
  document.body.append(dialog);
  dialog.showModal();
}
