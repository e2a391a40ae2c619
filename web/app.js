// The page: wires the parts together and knows none of their insides.

import { CameraPage, shownSources } from "./camera_page.js";
import { CamerasPage } from "./cameras_page.js";
import { Confirmation, TokenDialog, closeByButtons } from "./dialogs.js";
import { EventDialog } from "./event_dialog.js";
import { EventsPage } from "./events_page.js";
import { setText, setWords } from "./format.js";
import { Keys } from "./keys.js";
import { NamingDialog } from "./naming.js";
import { MergeDialog, PeoplePage } from "./people_page.js";
import { Portraits } from "./portraits.js";
import { parseRoute, routeTo } from "./router.js";
import { ServerLink } from "./server_link.js";
import { Settings, applyTheme } from "./settings.js";
import { SourceForm } from "./source_form.js";
import { StatusPage } from "./status_page.js";

const $ = (id) => document.getElementById(id);
const settings = new Settings();
const link = new ServerLink();
const portraits = new Portraits((path) => link.get(path));
const request = (method, params) => link.request(method, params);

// --- dialogs and pages ----------------------------------------------------------------------------------------------

const confirmation = new Confirmation();
const tokenDialog = new TokenDialog({ onToken: (token) => link.useToken(token) });
const peopleChanged = () => pages.people.load();
const naming = new NamingDialog($("naming"), { request, recognition: () => (link.mayControl ? link.recognition : { on: false, reason: "your token doesn't allow to name people" }), onChange: peopleChanged });
const merging = new MergeDialog($("merge-dialog"), { request, onChange: peopleChanged });
const sourceForm = new SourceForm($("source-dialog"), { link, onRemove: removeSource });
const editSource = (name) => sourceForm.open(link.book.get(name));
const camera = new CameraPage({ settings, link, naming, onEdit: editSource, onChange: showChrome });
const pages = {
  cameras: new CamerasPage({ settings, link, camera: camera.camera, onEdit: editSource }),
  camera,
  events: new EventsPage({ link, portraits, dialog: new EventDialog($("event-dialog"), { link, confirm: confirmation.ask }) }),
  people: new PeoplePage({ link, naming, merging, portraits }),
  status: new StatusPage({ link }),
};

async function removeSource(name) {
  const gone = await confirmation.ask({
    title: `Remove ${name}?`,
    text: "The server stops reading this camera, for everyone who watches.",
    yes: "Remove",
    no: "Keep it",
    act: () => request("sources.remove", { name }),
  });
  if (!gone) return;
  $("source-dialog").close();
  await link.refresh();
  if (route.page === "camera" && route.name === name) location.hash = routeTo("cameras");
}

// --- which page -----------------------------------------------------------------------------------------------------

let route = { page: null };
let leaving = false; // the page is on its way out, perhaps to come back from the browser's cache
const pageOf = ({ page }) => pages[page === "own" ? "camera" : page];

function navigate() {
  const wanted = parseRoute(location.hash);
  if (wanted.page === null) {
    chooseFirst();
    return;
  }
  const moved = route.page !== null;
  const [before, next] = [pageOf(route), pageOf(wanted)];
  if (before && before !== next) before.hide();
  route = wanted;
  next.show(route);
  for (const section of document.querySelectorAll(".page")) section.hidden = section.id !== (route.page === "own" ? "page-camera" : `page-${route.page}`);
  const current = ["camera", "own"].includes(route.page) ? "cameras" : route.page;
  for (const item of document.querySelectorAll("[data-page]")) {
    if (item.dataset.page === current) item.setAttribute("aria-current", "page");
    else item.removeAttribute("aria-current");
  }
  document.title = `${next.title} · facestream`;
  if (moved) {
    scrollTo(0, 0);
    document.querySelector(".page:not([hidden]) h1").focus({ preventScroll: true });
  }
  next.refresh?.();
  showChrome();
}

/** An address without a page: the camera that `?source=` names, the only one that there is, or all of them. */
function chooseFirst() {
  const named = new URLSearchParams(location.search).get("source");
  if (!named && link.state !== "open") return; // it depends on how many there are
  const sources = shownSources(link.book, camera.camera);
  const only = sources.length === 1 ? sources[0].name : null;
  const chosen = named ?? only;
  history.replaceState(null, "", location.pathname + (chosen === null ? routeTo("cameras") : routeTo("camera", chosen)));
  navigate();
}

// --- around the pages -----------------------------------------------------------------------------------------------

const LINK = {
  connecting: ["wait", "connecting"],
  open: ["good", "connected"],
  waiting: ["bad", "reconnecting"],
  refused: ["bad", "refused"],
  token: ["wait", "token wanted"],
  closed: ["off", "offline"],
};

function showChrome() {
  const [tone, word] = link.lost && link.starting ? ["wait", "starting"] : LINK[link.lost ? "waiting" : link.state];
  $("link").dataset.tone = tone;
  setText($("link-word"), word);
  const running = camera.camera.running;
  $("camera-start").hidden = $("own-start").hidden = $("empty-camera").hidden = !link.mayPush;
  $("camera-start").disabled = camera.camera.state === "starting";
  $("camera-start").classList.toggle("primary", !running);
  const words = running ? "My camera is on" : "Use my camera";
  setText($("camera-start").querySelector("span"), words);
  $("camera-start").setAttribute("aria-label", words);
  for (const id of ["add", "empty-add"]) $(id).hidden = !link.mayControl;
  const text = notice();
  $("notice").hidden = !text;
  setWords($("notice"), text);
}

function notice() {
  if (link.lost && link.starting) return "The server is starting: its models aren't loaded yet.";
  if (link.lost) return "The server doesn't answer. Trying again until it does.";
  if (link.state === "refused") return "The server refused the connection.";
  return camera.notice;
}

link.addEventListener("state", () => {
  if (link.state === "open") delete document.body.dataset.stale;
  else if (link.state !== "connecting") document.body.dataset.stale = "yes";
  if (link.state === "token") tokenDialog.open();
  if (link.state === "open") {
    tokenDialog.close();
    camera.retry();
    if (route.page !== null && pageOf(route) !== camera) pageOf(route).retry();
  }
  showChrome();
});

link.addEventListener("silent", () => {
  for (const { viewer } of [pages.cameras, camera]) viewer.restart();
});

link.addEventListener("sources", () => {
  if (route.page === null) navigate();
  else pageOf(route).refresh();
  showChrome();
});

// --- buttons and keys -----------------------------------------------------------------------------------------------

function showSettings() {
  for (const button of document.querySelectorAll("[data-setting]")) {
    button.setAttribute("aria-pressed", String(settings[button.dataset.setting]));
    if (button.dataset.key) button.title ||= `${button.textContent} (${button.dataset.key.toUpperCase()})`;
  }
  applyTheme(settings.theme);
  $("theme").querySelector("use").setAttribute("href", `#i-${settings.theme}`);
  const name = { auto: "as the system", light: "light", dark: "dark" }[settings.theme];
  $("theme").setAttribute("aria-label", `Colours: ${name}. Change`);
  $("theme").title = `Colours: ${name}`;
  $("help-on").checked = settings.keys;
}

for (const button of document.querySelectorAll("[data-setting]")) {
  button.addEventListener("click", () => settings.set(button.dataset.setting, !settings[button.dataset.setting]));
}
settings.addEventListener("change", showSettings);
$("theme").addEventListener("click", () => {
  const order = ["auto", "light", "dark"];
  settings.set("theme", order[(order.indexOf(settings.theme) + 1) % order.length]);
});
for (const id of ["add", "empty-add"]) $(id).addEventListener("click", () => sourceForm.open());
$("help").addEventListener("click", () => $("help-dialog").showModal());
$("help-on").addEventListener("change", ({ target }) => settings.set("keys", target.checked));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // its address would be a page's
  $("main").focus();
});

const go = (page) => () => { location.hash = routeTo(page); };
const click = (id) => () => { if (!$(id).closest("[hidden]")) $(id).click(); };
const toggle = (key) => () => { if (camera.active) document.querySelector(`[data-key="${key}"]`).click(); };

function goToNth(number) {
  const source = shownSources(link.book, camera.camera)[Number(number) - 1];
  if (source) location.hash = routeTo("camera", source.name);
}

const keys = new Keys(
  [
    ["0", "All cameras", go("cameras")],
    ["1–9", "That camera", goToNth],
    ["g e", "Events", go("events")],
    ["g p", "People", go("people")],
    ["g s", "Status", go("status")],
    ["a", "Add a camera", () => { if (link.mayControl) sourceForm.open(); }],
    ["c", "Use my camera, and stop it", () => (camera.camera.running ? camera.stopCamera() : camera.startCamera())],
    ["b", "Boxes around faces", toggle("b")],
    ["l", "Landmarks", toggle("l")],
    ["i", "Ids and names", toggle("i")],
    ["p", "Where heads point", toggle("p")],
    ["m", "Mirror the picture", toggle("m")],
    ["s", "Save the picture", click("save")],
    ["f", "Full screen", click("full")],
    ["?", "This help", () => $("help-dialog").showModal()],
  ],
  settings,
);

// --- life -----------------------------------------------------------------------------------------------------------

closeByButtons();
keys.describe($("help-keys"));
document.addEventListener("visibilitychange", () => {
  if (route.page !== null && !leaving) pageOf(route).refresh(); // nobody looks: no pictures
  if (!document.hidden) link.retry();
});
window.addEventListener("online", () => link.retry());
window.addEventListener("pagehide", () => {
  leaving = true;
  link.close();
  camera.camera.stop();
  pageOf(route)?.hide();
});
window.addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  leaving = false;
  route = { page: null };
  link.open();
  navigate();
});
window.addEventListener("hashchange", () => {
  if (link.takeToken()) link.open();
  else navigate();
});

showSettings();
showChrome();
link.open();
navigate();

/** For tests and the curious: everything that the page knows. */
window.facestream = {
  settings, link, pages,
  get viewer() { return pageOf(route) === camera ? camera.viewer : pages.cameras.viewer; },
  camera: camera.camera,
  get route() { return route; },
};
