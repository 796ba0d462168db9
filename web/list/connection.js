// What the page says about the server: nothing while all is well.
import { graphqlHost, logInAgain } from "../login/signin.js";
import { button, byId, element, setText } from "../shared/element.js";
import { clockTime } from "../shared/format.js";

/** @import {Health} from "../shared/health.js" */

/** @type {Record<Health, string>} */
const WORDS = {
  connecting: "Connecting …",
  live: "Live",
  polling: "Checking every 5 s",
  gone: "No connection",
  over: "Session over",
};
/** @type {Record<Health, string>} */
const TITLES = {
  connecting: "",
  live: "Changes by others appear at once",
  polling: "Changes by others are asked for every 5 seconds: the live connection is down",
  gone: "The server does not answer",
  over: "Your session is over",
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
  const since = answered ? ` What you see is as it was at ${clockTime(answered)}.` : "";
  setText(byId("offline"), `The server does not answer.${since} Nothing is lost: this page tries again by itself.`);
  if (health === "gone") byId("loading").hidden = true;
  if (health === "over") tellOver();
}

/** Nothing works without a session: this one dialog cannot be closed, only obeyed. */
function tellOver() {
  const unsaved = graphqlHost() === null ? "What has not been saved yet is lost." : "What you have typed is kept.";
  const again = button("Log in again", logInAgain, { className: "primary" });
  const heading = element("h2", { id: "over-title" }, "Your session is over");
  const text = element("p", {}, `Log in again, and you are where you were. ${unsaved}`);
  const dialog = element("dialog", { className: "question" }, heading, text, element("div", { className: "buttons" }, again));
  dialog.setAttribute("aria-labelledby", heading.id);
  dialog.setAttribute("closedby", "none");
  document.body.append(dialog);
  dialog.showModal();
}
