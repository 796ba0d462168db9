// Asks about conflicts: another user changed the same field, both values are shown, and either can be kept.
import { slideHistory } from "../server/api.js";
import { openDialog } from "../shared/dialog.js";
import { button, element } from "../shared/element.js";
import { shortTime } from "../shared/format.js";
import { FIELD_NAMES, nameOf } from "../slide/display.js";
import { statusName } from "../slide/statuses.js";

/** @import {Field, Fields, Slide} from "../server/types.js" */
/** @typedef {{seen: Slide, theirs: Slide, fields: Fields}} Clash */

/**
 * @param {Clash[]} clashes
 * @returns {Promise<Clash[]>} those where the user's own value is to be saved
 */
export async function askAboutConflicts(clashes) {
  /** @type {Clash[]} */
  const mine = [];
  let open = clashes.length;
  const cards = clashes.map((clash) =>
    card(clash, (isMine) => {
      if (isMine) mine.push(clash);
      open -= 1;
      if (open === 0) dialog.close("");
    }),
  );
  const { dialog, closed } = openDialog("Somebody else changed this", [explanation(clashes.length), ...cards], {
    className: "conflict",
  });
  // A quick second Enter must not overwrite another user's value.
  /** @type {HTMLElement | null} */ (dialog.querySelector(".value + .value button"))?.focus();
  await closed; // closing it keeps the stored value
  return mine;
}

/** @param {number} count */
function explanation(count) {
  const which = count === 1 ? "This slide was" : `${count} slides were`;
  return element("p", {}, `${which} changed while you were editing. Your change has not been saved yet.`);
}

/**
 * @param {Clash} clash
 * @param {(isMine: boolean) => void} decide
 * @returns {HTMLElement}
 */
function card(clash, decide) {
  const made = element("section", { className: "clash" }, element("h3", {}, nameOf(clash.seen)));
  const settle = (/** @type {boolean} */ isMine) => {
    made.remove();
    decide(isMine);
  };
  for (const name of /** @type {Field[]} */ (Object.keys(clash.fields))) {
    made.append(
      element(
        "div",
        { className: "values" },
        side(`Your ${FIELD_NAMES[name]}`, shown(name, clash.fields[name] ?? null), button("Save mine", () => settle(true))),
        side(`Stored ${FIELD_NAMES[name]}`, shown(name, clash.theirs[name]), button("Keep theirs", () => settle(false)), who(clash, name)),
      ),
    );
  }
  return made;
}

/**
 * @param {string} title
 * @param {string} value
 * @param {HTMLButtonElement} choose
 * @param {...Node} more
 * @returns {HTMLElement}
 */
function side(title, value, choose, ...more) {
  return element("div", { className: "value" }, element("h4", {}, title), element("strong", {}, value), ...more, choose);
}

/**
 * @param {Field} name
 * @param {string | null} value
 * @returns {string}
 */
function shown(name, value) {
  if (value === null || value === "") return "(empty)";
  return name === "Status" ? statusName(value) : value;
}

/**
 * @param {Clash} clash
 * @param {Field} name
 * @returns {HTMLElement} who set the stored value, filled in from the history
 */
function who({ theirs }, name) {
  const made = element("small", {}, theirs.ModifiedBy ? `by ${theirs.ModifiedBy}` : "");
  slideHistory(theirs.ImageID)
    .then((entries) => {
      const entry = entries.find(({ field }) => field === name);
      if (entry) made.textContent = `by ${entry.by} ${shortTime(entry.at)}`;
    })
    .catch(() => {}); // the values are enough to decide
  return made;
}
