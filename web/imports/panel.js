// The panel of imports: the progress of each, and why one failed.
import { listUnfinished, retryImport } from "../server/api.js";
import { button, byId, element, setText } from "../shared/element.js";
import { RefusedError, SessionExpiredError } from "../shared/failures.js";
import { plain, sizeOf } from "../shared/format.js";
import { watched } from "../shared/health.js";
import { notifyFailure } from "../shared/notices.js";
import { statusPill } from "../slide/statuses.js";
import { dismiss, dismissText, isDismissed, isTextDismissed } from "./dismissed.js";

/** @import {Import, NotImported} from "../server/types.js" */
/** @typedef {{run: Import, item: HTMLLIElement, show: (run: Import) => void}} Shown */

/** @type {Record<string, string>} */
const STATES = { TRANSFERRING: "Copying", IMPORTING: "Importing", READY: "Ready", FAILED: "Failed" };

// How the server's reason begins for the file of a slide that was purged.
const PURGED = "This slide was purged";

/** @type {Map<string, Shown>} */
const shown = new Map();

/** @type {{text: string, item: HTMLLIElement}[]} */
let passedOver = [];

/** @param {Import} run */
export function showImport(run) {
  const old = shown.get(run.Filename);
  // Messages can arrive out of order.
  if (old && (old.run.UpdatedAt ?? "") > (run.UpdatedAt ?? "") && old.run.StartedAt === run.StartedAt) return;
  if (run.State === "READY" || isDismissed(run)) removeEntry(run.Filename);
  else if (old) updateEntry(old, run);
  else addEntry(run);
  showSummary();
}

export async function refreshImports() {
  const { runs, notImported } = await watched(listUnfinished()).catch(emptyIfForbidden);
  const names = new Set(runs.map(({ Filename }) => Filename));
  for (const name of shown.keys()) if (!names.has(name)) removeEntry(name);
  for (const run of runs) showImport(run);
  showPassedOver(notImported);
  showSummary();
}

/**
 * Returns no imports to users who may only view slides.
 * @param {unknown} error
 * @returns {{runs: Import[], notImported: NotImported[]}}
 */
function emptyIfForbidden(error) {
  if (error instanceof RefusedError && error.isForbidden) return { runs: [], notImported: [] };
  throw error;
}

/**
 * Shows below the imports what lies in the watched folders and is not imported.
 * @param {NotImported[]} found
 */
function showPassedOver(found) {
  const texts = found.map(sentenceOf).filter((text) => !isTextDismissed(text));
  if (texts.join("\n") === passedOver.map(({ text }) => text).join("\n")) return;
  for (const { item } of passedOver) item.remove();
  passedOver = texts.map((text) => ({ text, item: passedOverItem(text) }));
  byId("import-list").append(...passedOver.map(({ item }) => item));
}

/**
 * @param {NotImported} found
 * @returns {string}
 */
function sentenceOf({ reason, count, names }) {
  const more = count > names.length ? ` and ${(count - names.length).toLocaleString("en")} more` : "";
  return `${count.toLocaleString("en")} ${reason}: ${names.map(plain).join(", ")}${more}`;
}

/**
 * @param {string} text
 * @returns {HTMLLIElement}
 */
function passedOverItem(text) {
  const title = "Hide in this browser, until other files are found";
  const hide = button("Hide", () => {}, { className: "retry", title, ariaLabel: `Hide: ${text}` });
  const item = element("li", {}, element("span", { className: "about", textContent: text }), hide);
  hide.addEventListener("click", () => {
    dismissText(text);
    passedOver = passedOver.filter((other) => other.item !== item);
    item.remove();
    byId("import-list").focus(); // the focused button was removed
    showSummary();
  });
  return item;
}

/** @param {Import} run */
function addEntry(run) {
  const { item, show } = makeItem();
  show(run);
  shown.set(run.Filename, { run, item, show });
  // Failed imports come first.
  if (run.State === "FAILED") byId("import-list").prepend(item);
  else byId("import-list").insertBefore(item, passedOver[0]?.item ?? null);
}

/**
 * @param {Shown} old
 * @param {Import} run
 */
function updateEntry(old, run) {
  old.run = run;
  old.show(run);
}

/** @param {string} filename */
function removeEntry(filename) {
  shown.get(filename)?.item.remove();
  shown.delete(filename);
}

/** @returns {{item: HTMLLIElement, show: (run: Import) => void}} */
function makeItem() {
  const state = element("span", { className: "state" });
  const name = element("b");
  const about = element("span", { className: "about" });
  const bar = element("progress", { max: 1 });
  const retry = button("Try again", () => {}, { className: "retry" });
  const hide = button("Hide", () => {}, { className: "retry", title: "Hide in this browser, unless it fails again" });
  const item = element("li", {}, state, name, about, bar, retry, hide);
  /** @type {Import} */
  let known;
  retry.addEventListener("click", () => tryAgain(known.Filename, retry, isPurged(known)));
  hide.addEventListener("click", () => {
    dismiss(known);
    showImport(known);
    byId("import-list").focus(); // the focused button was removed
  });
  return {
    item,
    show(run) {
      known = run;
      const { Filename: filename } = run;
      const failed = run.State === "FAILED";
      item.className = failed ? "failed" : "";
      state.replaceChildren(statusPill(run.State, stateOf(run)));
      setText(name, plain(filename));
      setText(about, failed ? run.Error ?? "no reason given" : run.Error ? `waiting: ${run.Error}` : sizeOf(run.Size));
      bar.hidden = failed;
      bar.ariaLabel = `${stateOf(run)} ${filename}`;
      if (run.Progress === null) bar.removeAttribute("value");
      else bar.value = run.Progress;
      retry.hidden = hide.hidden = !failed;
      retry.textContent = isPurged(run) ? "Import again" : "Try again";
      retry.title = isPurged(run) ? "Import it on purpose, as a new slide" : "";
      hide.ariaLabel = `Hide ${filename}`;
      retry.ariaLabel = isPurged(run) ? `Import again: ${filename}` : `Try again: import ${filename}`;
    },
  };
}

/** @param {Import} run */
function isPurged(run) {
  return run.State === "FAILED" && (run.Error ?? "").startsWith(PURGED);
}

/**
 * @param {string} filename
 * @param {HTMLButtonElement} retry
 * @param {boolean} again imports also a purged slide's file
 */
async function tryAgain(filename, retry, again) {
  retry.disabled = true;
  try {
    showImport(await watched(retryImport(filename, again)));
  } catch (error) {
    if (!(error instanceof SessionExpiredError)) notifyFailure(`${filename} could not be retried: ${error instanceof Error ? error.message : error}`);
  } finally {
    retry.disabled = false;
  }
}

function showSummary() {
  const failed = [...shown.values()].filter(({ run }) => run.State === "FAILED").length;
  const active = shown.size - failed;
  const parts = [
    active > 0 && `${active} in progress`,
    failed > 0 && `${failed} failed`,
    passedOver.length > 0 && "some files not imported",
  ];
  byId("imports").hidden = shown.size + passedOver.length === 0;
  setText(byId("imports-title"), `Imports: ${parts.filter(Boolean).join(", ")}`);
}

/**
 * @param {Import} run
 * @returns {string}
 */
function stateOf({ State }) {
  return STATES[State ?? ""] ?? State ?? "";
}
