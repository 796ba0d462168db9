// Brings the page's parts together: what the address says is shown, what the server says is taken in.
import { askForImports, showImport } from "./imports/panel.js";
import { askForJobs } from "./jobs/openjobs.js";
import { startJobPanel } from "./jobs/panel.js";
import { editCell, goOnEditing } from "./list/celleditor.js";
import { showHealth } from "./list/connection.js";
import { countAnew, startFilters } from "./list/filters.js";
import { bindListKeys } from "./list/keyboard.js";
import { enlarge } from "./list/lightbox.js";
import { catchUp, onListing } from "./list/results.js";
import { currentId } from "./list/selection.js";
import { focusRow, startTable } from "./list/table.js";
import { startActions } from "./list/toolbar.js";
import { keep } from "./login/sessionstate.js";
import { enter } from "./login/signin.js";
import { subscribe } from "./server/api.js";
import { byId } from "./shared/element.js";
import { Refused } from "./shared/failures.js";
import { currentHealth, onHealth, setLive } from "./shared/health.js";
import { openSheet } from "./shared/keyhelp.js";
import { tellFailure } from "./shared/notices.js";
import { setting } from "./shared/settings.js";
import { listenToKeys } from "./shared/shortcuts.js";
import { hear } from "./slide/liveupdates.js";
import { bindViewerKeys } from "./viewer/keyboard.js";
import { formatLink, parseLink } from "./viewer/link.js";
import { closeViewer, openViewer, startViewer } from "./viewer/viewer.js";

const POLL_MS = 5000;
let asking = false;

/** @param {string[]} ids */
function view(ids) {
  const layout = setting("sideBySide") ? "side" : "one";
  location.hash = formatLink({ open: ids.map((id) => ({ id, view: null })), active: 0, layout });
}

function route() {
  const link = parseLink(location.hash);
  byId("list").inert = link !== null;
  document.body.classList.toggle("viewing", link !== null);
  if (link) {
    openViewer(link);
    return;
  }
  closeViewer();
  document.title = "Slides";
  if (currentId() !== null) focusRow(currentId(), "center");
}

async function askForAll() {
  if (asking || currentHealth() === "over") return;
  asking = true;
  const results = await Promise.allSettled([catchUp(), countAnew(), askForImports(), askForJobs()]);
  for (const result of results) {
    if (result.status === "rejected" && result.reason instanceof Refused) tellFailure(result.reason.message);
  }
  asking = false;
}

keep("address", { give: () => location.hash, take: (hash) => history.replaceState(null, "", `/${hash}`) });
onHealth(showHealth);
showHealth(currentHealth(), null);
await enter();

startTable({ edit: editCell, enlarge }, (id) => view([id]));
startFilters();
startActions(view);
startJobPanel();
startViewer();
bindListKeys(view);
bindViewerKeys();
listenToKeys(() => (parseLink(location.hash) ? "viewer" : "list"));
byId("keys").addEventListener("click", openSheet);
onListing(goOnEditing);
window.addEventListener("hashchange", route);
subscribe({
  onSlide: hear,
  onImport: showImport,
  onLive(live) {
    setLive(live);
    if (live) askForAll(); // what happened while nothing was heard
  },
});
setInterval(() => currentHealth() !== "live" && !document.hidden && askForAll(), POLL_MS);
document.addEventListener("visibilitychange", () => document.hidden || askForAll());
askForAll();
route();
