// Saves changes to slides in order, reconciles them with the changes of others, and undoes them.
import { getSlides, updateSlides } from "../server/api.js";
import { watched } from "../shared/health.js";
import { storeSlides } from "../slide/knownslides.js";
import { askAboutConflicts } from "./conflict.js";

/** @import {Field, Fields, Slide, UpdateResult} from "../server/types.js" */
/** @typedef {{seen: Slide, fields: Fields}} Change what to change, and the slide as the user saw it */
/** @typedef {{before: Slide, after: Slide, fields: Fields}} Done */
/** @typedef {{slide: Slide, error: string}} Failed */
/** @typedef {{done: Done[], failed: Failed[]}} Outcome */

const UNDOABLE = 50;
const ONE_GO_MS = 40; // changes that follow each other this quickly, as no person makes them, are undone together
const TRIES = 4; // how often to retry after conflicts before giving up

/** @type {Done[][]} */
const history = [];
let changedAt = -Infinity;
/** @type {Map<string, {from: number, slide: Slide}>} the results of this page's own changes, by slide */
const own = new Map();
/** @type {Promise<unknown>} */
let queue = Promise.resolve();

/**
 * @param {Change[]} changes
 * @returns {Promise<Outcome>} rejects where the server cannot be asked
 */
export function change(changes) {
  const isOneGo = performance.now() - changedAt < ONE_GO_MS;
  changedAt = performance.now();
  return inOrder(async () => {
    const outcome = await save(changes);
    const undoable = outcome.done.filter((one) => !isUnderWay(one));
    if (undoable.length > 0) remember(undoable, isOneGo);
    return outcome;
  });
}

/**
 * @param {Done[]} done
 * @param {boolean} isOneGo whether it is undone together with the change before
 */
function remember(done, isOneGo) {
  const earlier = (isOneGo && history.pop()) || [];
  const first = new Map(earlier.map((one) => [one.after.ImageID, one]));
  for (const one of done) {
    const { before, fields } = first.get(one.after.ImageID) ?? one;
    first.set(one.after.ImageID, { before, after: one.after, fields: { ...fields, ...one.fields } });
  }
  history.push([...first.values()]);
  if (history.length > UNDOABLE) history.shift();
}

/**
 * @param {Done} done
 * @returns {boolean} whether the status waits for the confirmation of a registry
 */
export function isUnderWay({ after, fields }) {
  return fields.Status === "SENT" && after.Status !== "SENT";
}

/** @returns {Promise<Outcome | null>} null where there is nothing to undo */
export function undo() {
  return inOrder(async () => {
    const last = history.at(-1);
    if (!last) return null;
    const outcome = await saveBack(last);
    history.splice(history.indexOf(last), 1); // only now: an undo that did not reach the server can be tried again
    return outcome;
  });
}

/**
 * Runs one change at a time: two quick keys on one slide must arrive in order, and the second must build on the first.
 * @template T
 * @param {() => Promise<T>} act
 * @returns {Promise<T>}
 */
function inOrder(act) {
  const result = queue.then(act);
  queue = result.catch(() => {});
  return result;
}

/**
 * @param {Done[]} last
 * @returns {Promise<Outcome>}
 */
async function saveBack(last) {
  const ways = last.map(({ before, after, fields }) => ({ after, steps: stepsBack(before, after, fields) }));
  /** @type {Outcome} */
  let outcome = { done: [], failed: [] };
  for (let at = 0; ways.some(({ steps }) => steps[at]); at++) {
    const lost = new Set(outcome.failed.map(({ slide }) => slide.ImageID));
    const open = ways.filter(({ after, steps }) => steps[at] && !lost.has(after.ImageID));
    const { done, failed } = await save(open.map(({ after, steps }) => ({ seen: after, fields: steps[at] })));
    const again = new Set(done.map(({ after }) => after.ImageID));
    const earlier = outcome.done.filter(({ after }) => !again.has(after.ImageID));
    outcome = { done: [...earlier, ...done], failed: [...outcome.failed, ...failed] };
  }
  return outcome;
}

/**
 * Not every status may follow every other: the way back from a deletion leads over NEW, the way to SENT over GOOD.
 * @param {Slide} before
 * @param {Slide} after
 * @param {Fields} fields
 * @returns {Fields[]}
 */
function stepsBack(before, after, fields) {
  const names = /** @type {Field[]} */ (Object.keys(fields));
  const last = Object.fromEntries(names.map((name) => [name, before[name]]));
  const over = [];
  if (after.Status === "DELETED") over.push("NEW");
  if (before.Status === "SENT" && after.Status !== "GOOD") over.push("GOOD");
  const isStatus = "Status" in fields;
  return [...(isStatus ? over.filter((status) => status !== before.Status).map((Status) => ({ Status })) : []), last];
}

/**
 * @param {Change[]} changes
 * @returns {Promise<Outcome>}
 */
async function save(changes) {
  /** @type {Outcome} */
  const outcome = { done: [], failed: [] };
  let open = changes.map(withOwn);
  for (let tries = 0; open.length > 0 && tries < TRIES; tries++) {
    const results = await watched(updateSlides(open.map(inputOf)));
    const conflicts = sortOut(open, results, outcome);
    open = conflicts.length > 0 ? await reconcile(conflicts, outcome) : [];
  }
  outcome.failed.push(...open.map(({ seen }) => ({ slide: seen, error: "others keep changing it: try again" })));
  return outcome;
}

/**
 * @param {Change} change
 * @returns {Change} based on this page's own later changes
 */
function withOwn({ seen, fields }) {
  const later = own.get(seen.ImageID);
  return { seen: later && later.from >= (seen.Version ?? 0) ? later.slide : seen, fields };
}

/** @param {Change} change */
function inputOf({ seen, fields }) {
  return { ImageID: seen.ImageID, ...fields, expectedVersion: seen.Version };
}

/**
 * @param {Change[]} changes
 * @param {UpdateResult[]} results
 * @param {Outcome} outcome gets what is settled
 * @returns {Change[]} the conflicts
 */
function sortOut(changes, results, outcome) {
  const byId = new Map(results.map((result) => [result.ImageID, result]));
  return changes.filter(({ seen, fields }) => {
    const { slide, error, errorType } = byId.get(seen.ImageID) ?? { error: "the server sent no result for it" };
    if (slide) {
      own.set(seen.ImageID, { from: seen.Version ?? 0, slide });
      outcome.done.push({ before: seen, after: slide, fields });
      storeSlides([slide]);
    } else if (errorType !== "CONFLICT") outcome.failed.push({ slide: seen, error: error ?? "no reason given" });
    return errorType === "CONFLICT";
  });
}

/**
 * Changes of other fields do not conflict; for the same field, the user is asked.
 * @param {Change[]} conflicts
 * @param {Outcome} outcome
 * @returns {Promise<Change[]>} what is to be tried again, on top of what the others did
 */
async function reconcile(conflicts, outcome) {
  const slides = await watched(getSlides(conflicts.map(({ seen }) => seen.ImageID)));
  storeSlides(slides);
  const now = new Map(slides.map((slide) => [slide.ImageID, slide]));
  const again = [];
  const clashes = [];
  for (const { seen, fields } of conflicts) {
    const theirs = now.get(seen.ImageID);
    if (!theirs) outcome.failed.push({ slide: seen, error: "it no longer exists" });
    else if (clashing(seen, theirs, fields)) clashes.push({ seen, theirs, fields });
    else again.push({ seen: theirs, fields });
  }
  const mine = clashes.length > 0 ? await askAboutConflicts(clashes) : [];
  return [...again, ...mine.map(({ theirs, fields }) => ({ seen: theirs, fields }))];
}

/**
 * @param {Slide} seen
 * @param {Slide} theirs
 * @param {Fields} fields
 * @returns {boolean}
 */
function clashing(seen, theirs, fields) {
  const names = /** @type {Field[]} */ (Object.keys(fields));
  return names.some((name) => theirs[name] !== seen[name] && theirs[name] !== fields[name]);
}
