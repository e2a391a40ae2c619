// The page: wires the parts together and knows none of their insides.

import { api, checkAccess, readToken, saveToken } from "./access.js";
import { OwnCamera, isBrowserName } from "./camera.js";
import { Connection } from "./connection.js";
import { control } from "./control.js";
import { NamingDialog } from "./naming.js";
import { KnownView, PeopleView } from "./people.js";
import { describeState, socketUrl } from "./protocol.js";
import { Settings, applyTheme } from "./settings.js";
import { SourceBook, SourceListView, compact, describeNumbers, setText } from "./sources.js";
import { MOST_TILES, Viewer, seconds } from "./viewer.js";

const ALL = Symbol("all sources");
const OWN = Symbol("your camera");
const NUMBERS_EVERY = 500; // milliseconds, of what is on the page already
const SOURCES_EVERY = 3000; // milliseconds, of the server's own figures

const $ = (id) => document.getElementById(id);
const settings = new Settings();
const book = new SourceBook();

let token = readToken();
let chosen = new URLSearchParams(location.search).get("source"); // a source's name, ALL, OWN, or null: nothing chosen yet
let leaving = false; // the page is on its way out, perhaps to come back from the browser's cache
let recognition = { on: false, reason: "" }; // what the server said about recognising people
let problem = ""; // the last error that the server sent for the picture connection

const address = (path, options = {}) => socketUrl(location.origin, path, { ...options, token });

// --- the parts ------------------------------------------------------------------------------------------------------

/** The link over which the server tells what sources there are; slow and without pictures. */
const feed = new Connection({
  url: () => address("/ws/faces", { frames: "none", fps: 0.2, fields: "track" }),
  checkAccess,
  onText: heard,
  onState: linkChanged,
});

const viewer = new Viewer({
  container: $("stages"),
  template: $("tile-template"),
  settings,
  address,
  checkAccess,
  onState: (state, detail) => {
    if (state === "open") problem = "";
    if (state === "refused") problem = detail;
    showNotice();
  },
  onError: (message) => { problem = message.message; },
  onOpen: choose,
});

const camera = new OwnCamera({
  tile: $("own-tile"),
  video: $("own-video"),
  settings,
  address,
  checkAccess,
});

const list = new SourceListView($("sources"), $("source-template"), { onSelect: choose, onRemove: askToRemove });
const request = (method, params) => control(address, method, params);
const known = new KnownView($("known"), $("known-template"), {
  listPeople: () => request("people.list", {}),
  onOpen: (person, element) => naming.openPerson(person, element.getBoundingClientRect()),
});
const naming = new NamingDialog($("naming"), { request, recognition: () => recognition, onChange: () => known.refresh() });
const people = new PeopleView($("people"), $("person-template"), $("people-empty"), {
  onOpen: (face, element) => nameFace(stageInView(), face, element.getBoundingClientRect(), "below"),
});

// --- what the server says -------------------------------------------------------------------------------------------

function heard(message) {
  if (message.type === "hello") greeted(message);
  else if (message.type === "status") book.update(message);
  else return;
  sourcesChanged();
}

function greeted(hello) {
  book.replace(hello.sources);
  recognition = hello.recognition ?? { on: false, reason: "" };
  $("known").hidden = !recognition.on;
}

function linkChanged(state, detail) {
  const shown = {
    connecting: ["wait", "connecting"],
    open: ["good", "connected"],
    waiting: ["bad", "reconnecting"],
    refused: ["bad", "refused"],
    token: ["wait", "token wanted"],
    closed: ["off", "offline"],
  }[state];
  $("link").dataset.tone = shown[0];
  setText($("link-word"), shown[1]);
  if (state === "open") delete document.body.dataset.stale;
  else if (state !== "connecting") document.body.dataset.stale = "yes";
  if (state === "token") askForToken();
  if (state === "open") {
    if ($("token-dialog").open) $("token-dialog").close();
    viewer.retry();
    camera.retry();
  }
  showNotice(detail);
}

async function refreshSources() {
  if (document.hidden || feed.state !== "open") return;
  try {
    const reply = await api("/api/sources");
    if (!reply.ok) return;
    book.replace(await reply.json());
    sourcesChanged();
  } catch {
    // The server went away: the feed notices by itself and says so.
  }
}

function showNotice() {
  let text = "";
  if (feed.state === "waiting") text = "The server doesn't answer. Trying again until it does.";
  else if (feed.state === "refused") text = "The server refused the connection.";
  else if (camera.state === "refused") text = `Your camera: ${camera.detail}`;
  else if (camera.state === "off" && camera.detail) text = camera.detail;
  else if (problem && viewer.state !== "open") text = problem;
  $("notice").hidden = !text;
  setText($("notice"), text);
}

// --- what is shown --------------------------------------------------------------------------------------------------

const showsOwn = () => camera.running && chosen === OWN;

/** Every source but the person's own camera and the cameras that other browsers have left behind. */
function listedSources() {
  return book.all.filter((source) => source.name !== camera.name && !(isIdle(source) && isBrowserName(source.name)));
}

const isIdle = ({ kind, state }) => kind === "push" && state !== "live";

/** The sources whose pictures to show now: the chosen one, or all that have any to show. */
function shownNames() {
  if (showsOwn() || document.hidden || leaving) return [];
  const others = listedSources();
  if (others.some(({ name }) => name === chosen)) return [chosen];
  return others.filter((source) => !isIdle(source)).map(({ name }) => name);
}

function choose(key) {
  chosen = key;
  sourcesChanged();
}

function sourcesChanged() {
  const own = showsOwn();
  const names = shownNames();
  $("own").hidden = !own;
  $("stages").hidden = own || !names.length;
  $("empty").hidden = own || names.length > 0 || feed.state !== "open" || document.hidden;
  $("bar").hidden = $("numbers").hidden = !own && !names.length;
  $("mirror").dataset.setting = own ? "selfMirror" : "mirror";
  $("smooth").hidden = $("camera-stop").hidden = !own;
  $("camera-start").hidden = camera.running;
  $("camera-picker").hidden = !own || $("camera-device").length < 2;
  viewer.show(names);
  showToggles();
  showNumbers();
}

/** The tile in view, as far as it is one: {stage, rate, latency, dropped, mirrored}. */
function inView() {
  if (showsOwn()) {
    const { stage, roundTrip, dropped, lost } = camera;
    return { stage, latency: roundTrip, dropped: dropped + lost, rate: camera.rate, mirrored: stage.mirrored() };
  }
  if (viewer.tiles.size !== 1) return null;
  const [tile] = viewer.tiles.values();
  return { stage: tile.stage, latency: tile.latency.milliseconds, dropped: tile.dropped + tile.skipped, rate: tile.rate, mirrored: settings.mirror };
}

function showNumbers() {
  showSources();
  showTileStates();
  const view = inView();
  const tiles = [...viewer.tiles.values()];
  const message = view?.stage.message;
  $("save").disabled = !message;
  const now = seconds();
  const rate = view ? view.rate.rate(now) : tiles.reduce((sum, tile) => sum + tile.rate.rate(now), 0);
  const latency = view ? view.latency : Math.max(...tiles.map((tile) => tile.latency.milliseconds ?? 0));
  const dropped = view ? view.dropped : tiles.reduce((sum, tile) => sum + tile.dropped + tile.skipped, 0);
  const faces = view ? message?.faces.length : tiles.reduce((sum, tile) => sum + (tile.stage.message?.faces.length ?? 0), 0);
  setText($("n-latency-name"), showsOwn() ? "Round trip" : "Latency");
  number("n-rate", rate ? rate.toFixed(1) : "–", rate ? "fps" : "");
  number("n-latency", rate ? String(Math.round(latency)) : "–", rate ? "ms" : "");
  number("n-dropped", compact(dropped));
  number("n-size", message ? `${message.size[0]}×${message.size[1]}` : view ? "–" : String(tiles.length), view ? "" : "sources");
  number("n-faces", faces === undefined ? "–" : String(faces));
}

function number(id, text, unit = "") {
  const element = $(id);
  if (element.dataset.shown === text + unit) return;
  element.dataset.shown = text + unit;
  const small = document.createElement("small");
  small.textContent = unit;
  element.replaceChildren(text, ...(unit ? [small] : []));
}

function showSources() {
  const names = shownNames();
  const rows = listedSources().map((source) => ({
    key: source.name,
    name: source.name,
    state: feed.state === "open" ? source.state : "unknown",
    note: describeNumbers({ ...source, latency: source.latency_ms }),
    removable: true,
  }));
  if (rows.length > 1) rows.unshift({ key: ALL, name: "All sources", state: null, note: `${Math.min(rows.length, MOST_TILES)} side by side` });
  if (camera.running) rows.unshift(ownRow());
  const selected = showsOwn() ? OWN : names.length === 1 ? names[0] : ALL;
  list.render(rows, selected);
}

/** Over a tile without a living picture: why. */
function showTileStates() {
  for (const [name, { element }] of viewer.tiles) {
    const { state, reason } = book.get(name) ?? {};
    element.dataset.tone = describeState(state).tone;
    const waits = state === "live" || state === "connecting" || !state;
    setText(element.querySelector(".tile-wait"), waits ? "Waiting for pictures…" : reason || state);
  }
}

function ownRow() {
  const states = { starting: "connecting", connecting: "connecting", waiting: "degraded", refused: "stopped", token: "stopped", live: "live" };
  const note = describeNumbers({ size: camera.stage.message?.size, rate: camera.rate.rate(seconds()), latency: camera.roundTrip });
  return { key: OWN, name: "Your camera", hint: `Others see it as ${camera.name}`, state: states[camera.state], note };
}

/** The one stage in view, or null when there are several or none. */
function stageInView() {
  const stages = showsOwn() ? [camera.stage] : [...viewer.tiles.values()].map(({ stage }) => stage);
  return stages.length === 1 ? stages[0] : null;
}

function showPeople() {
  const stage = stageInView();
  $("people").closest("section").hidden = !stage;
  if (stage) people.render(stage.picture, stage.message, stage.mirrored());
}

function showToggles() {
  for (const button of document.querySelectorAll("[data-setting]")) {
    button.setAttribute("aria-pressed", String(settings[button.dataset.setting]));
    if (button.dataset.key) {
      button.setAttribute("aria-keyshortcuts", button.dataset.key);
      button.title ||= `${button.textContent} (${button.dataset.key.toUpperCase()})`;
    }
  }
  applyTheme(settings.theme);
  $("theme").querySelector("use").setAttribute("href", `#i-${settings.theme}`);
  const name = { auto: "as the system", light: "light", dark: "dark" }[settings.theme];
  $("theme").setAttribute("aria-label", `Colours: ${name}. Change`);
  $("theme").title = `Colours: ${name}`;
}

// --- the person's own camera ----------------------------------------------------------------------------------------

async function startCamera(deviceId) {
  if (camera.running) await stopCamera();
  chosen = OWN;
  await camera.start(deviceId);
  if (camera.running) await listCameras();
}

/** Stop, and take the source that was made for us out of everybody's list. */
async function stopCamera() {
  camera.stop();
  await control(address, "sources.remove", { name: camera.name }).catch(() => {}); // gone already is just as well
}

async function listCameras() {
  const devices = await camera.devices();
  $("camera-device").replaceChildren(...devices.map(({ id, label }) => new Option(label, id, false, id === camera.deviceId)));
  sourcesChanged();
}

camera.addEventListener("state", () => {
  if (camera.state === "token") askForToken();
  $("camera-start").disabled = camera.state === "starting";
  if (camera.state === "off" && chosen === OWN) chosen = null;
  showNotice();
  sourcesChanged();
});

$("camera-start").addEventListener("click", () => startCamera());
$("empty-camera").addEventListener("click", () => startCamera());
$("camera-stop").addEventListener("click", stopCamera);
$("camera-device").addEventListener("change", ({ target }) => startCamera(target.value));

// --- naming faces ---------------------------------------------------------------------------------------------------

function nameFace(stage, face, rect, where = "aside") {
  if (!stage?.message) return;
  face = stage.message.faces.find(({ track }) => track === face.track) ?? face; // the strip is a moment behind
  naming.openFace({ face, picture: stage.picture, message: stage.message, mirrored: stage.mirrored() }, rect, where);
}

for (const container of [$("stages"), $("own")]) {
  const faceUnder = ({ target, clientX, clientY }) => (target.closest("canvas") ? stageInView()?.faceAt(clientX, clientY) : null);
  container.addEventListener("click", (event) => {
    const found = faceUnder(event);
    if (found) nameFace(stageInView(), found.face, found.rect);
  });
  container.addEventListener("pointermove", (event) => container.toggleAttribute("data-pointing", Boolean(faceUnder(event))));
}

// --- buttons and keys -----------------------------------------------------------------------------------------------

for (const button of document.querySelectorAll("[data-setting]")) {
  button.addEventListener("click", () => settings.set(button.dataset.setting, !settings[button.dataset.setting]));
}
settings.addEventListener("change", showToggles);
$("theme").addEventListener("click", () => {
  const order = ["auto", "light", "dark"];
  settings.set("theme", order[(order.indexOf(settings.theme) + 1) % order.length]);
});

async function savePicture() {
  const view = inView();
  const blob = await view?.stage.snapshot();
  if (!blob) return;
  const { source, pts } = view.stage.message;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${source.replace(/[^\w.-]+/g, "_")}-${(pts ?? 0).toFixed(2)}s.jpg`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else (showsOwn() ? $("own") : $("stages")).requestFullscreen();
}

$("save").addEventListener("click", savePicture);
$("full").addEventListener("click", toggleFullScreen);
$("full").hidden = !document.fullscreenEnabled;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, dialog, summary")) return;
  const toggle = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  const actions = {
    s: () => $("save").click(),
    f: () => $("full").click(),
    a: () => $("add").click(),
    c: () => (camera.running ? stopCamera() : startCamera()),
  };
  if (toggle) toggle.click();
  else if (actions[event.key]) actions[event.key]();
  else if (/^[0-9]$/.test(event.key)) chooseNth(Number(event.key));
  else return;
  event.preventDefault();
});

/** 1 is the first source, and 0 all of them. */
function chooseNth(number) {
  const name = number === 0 ? ALL : listedSources()[number - 1]?.name;
  if (name) choose(name);
}

// --- dialogs --------------------------------------------------------------------------------------------------------

for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

function askForToken() {
  $("token-wrong").hidden = !token;
  if (!$("token-dialog").open) $("token-dialog").showModal();
}

$("token-dialog").addEventListener("cancel", (event) => event.preventDefault()); // there is nothing behind it yet
$("token-form").addEventListener("submit", () => {
  token = $("token").value.trim();
  saveToken(token);
  feed.open();
});

$("add").addEventListener("click", openAdd);
$("empty-add").addEventListener("click", openAdd);

function openAdd() {
  $("add-wrong").hidden = true;
  $("add-dialog").showModal();
}

$("add-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = $("add-name").value.trim();
  const params = { url: $("add-url").value.trim(), ...(name && { name }) };
  try {
    const added = await control(address, "sources.add", params);
    $("add-dialog").close();
    $("add-form").reset();
    await refreshSources();
    choose(added?.name ?? name);
  } catch (error) {
    $("add-wrong").hidden = false;
    setText($("add-wrong"), error.message);
  }
});

function askToRemove(name) {
  const dialog = $("remove-dialog");
  setText($("remove-title"), `Remove ${name}?`);
  dialog.returnValue = "";
  dialog.onclose = async () => {
    if (dialog.returnValue !== "remove") return;
    try {
      await control(address, "sources.remove", { name });
    } catch (error) {
      problem = error.message;
      showNotice();
    }
    await refreshSources();
  };
  dialog.showModal();
}

// --- life -----------------------------------------------------------------------------------------------------------

document.addEventListener("visibilitychange", () => {
  sourcesChanged(); // nobody looks: no pictures
  if (!document.hidden) feed.retry();
});
window.addEventListener("online", () => feed.retry());
window.addEventListener("pagehide", () => {
  leaving = true;
  feed.close();
  camera.stop();
});
window.addEventListener("pageshow", ({ persisted }) => {
  leaving = false;
  if (persisted) feed.open();
});
window.addEventListener("hashchange", () => {
  token = readToken();
  feed.open();
});
setInterval(showNumbers, NUMBERS_EVERY);
setInterval(showPeople, NUMBERS_EVERY / 2);
setInterval(refreshSources, SOURCES_EVERY);

showToggles();
sourcesChanged();
feed.open();

/** For tests and the curious: everything that the page knows. */
window.facestream = {
  settings, book, feed, viewer, camera,
  get chosen() { return chosen; },
  get recognition() { return recognition; },
};
