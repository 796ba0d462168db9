// Starts the page: connects the address, the list, the viewer and the server.
import { refreshImports, showImport } from "./imports/panel.js";
import { recordJob, refreshJobs } from "./jobs/openjobs.js";
import { startJobPanel } from "./jobs/panel.js";
import { editCell, resumeEditing, takeListed } from "./list/celleditor.js";
import { showHealth } from "./list/connection.js";
import { goTo } from "./list/duplicates.js";
import { refreshCounts, startFilters } from "./list/filters.js";
import { bindListKeys } from "./list/keyboard.js";
import { openLightbox } from "./list/lightbox.js";
import { onResults, refreshResults } from "./list/results.js";
import { currentId } from "./list/selection.js";
import { focusRow, startTable } from "./list/table.js";
import { startToolbar } from "./list/toolbar.js";
import { registerState } from "./login/sessionstate.js";
import { signIn } from "./login/signin.js";
import { subscribe } from "./server/api.js";
import { byId } from "./shared/element.js";
import { RefusedError } from "./shared/failures.js";
import { currentHealth, onHealth, setLive } from "./shared/health.js";
import { listenForBursts } from "./shared/keyburst.js";
import { openKeyHelp } from "./shared/keyhelp.js";
import { notifyFailure } from "./shared/notices.js";
import { setting } from "./shared/settings.js";
import { listenToKeys } from "./shared/shortcuts.js";
import { receiveUpdate } from "./slide/liveupdates.js";
import { bindViewerKeys } from "./viewer/keyboard.js";
import { formatLink, parseLink } from "./viewer/link.js";
import { showIgnored, showRefused, showScanned } from "./viewer/scannedcode.js";
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

async function refreshAll() {
  if (asking || currentHealth() === "over") return;
  asking = true;
  const results = await Promise.allSettled([refreshResults(), refreshCounts(), refreshImports(), refreshJobs()]);
  for (const result of results) {
    if (result.status === "rejected" && result.reason instanceof RefusedError) notifyFailure(result.reason.message);
  }
  asking = false;
}

registerState("address", { save: () => location.hash, restore: (hash) => history.replaceState(null, "", `/${hash}`) });
onHealth(showHealth);
showHealth(currentHealth(), null);
await signIn();

startTable({ edit: editCell, enlarge: openLightbox, take: takeListed, goTo }, (id) => view([id]));
startFilters();
startToolbar(view);
startJobPanel();
startViewer();
bindListKeys(view);
bindViewerKeys();
listenForBursts({ scanned: (code) => showScanned(code, view), ignored: showIgnored, refused: showRefused });
listenToKeys(() => (parseLink(location.hash) ? "viewer" : "list"));
byId("keys").addEventListener("click", openKeyHelp);
onResults(resumeEditing);
window.addEventListener("hashchange", route);
subscribe({
  onSlide: receiveUpdate,
  onImport: showImport,
  onJob: recordJob,
  onLive(live) {
    setLive(live);
    if (live) refreshAll(); // catches up on missed updates
  },
});
setInterval(() => currentHealth() !== "live" && !document.hidden && refreshAll(), POLL_MS);
document.addEventListener("visibilitychange", () => document.hidden || refreshAll());
refreshAll();
route();
