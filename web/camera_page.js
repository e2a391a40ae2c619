// One camera large, or the person's own: the picture with what was found in it, its numbers, and who is in it.

import { OwnCamera } from "./camera.js";
import { compact, duration, sentence, setText } from "./format.js";
import { PeopleView } from "./people.js";
import { describeState } from "./protocol.js";
import { routeTo } from "./router.js";
import { SourceListView, describeNumbers, isBrowserName, isIdle, isSilent, showState } from "./sources.js";
import { Viewer, seconds } from "./viewer.js";

const NUMBERS_EVERY = 500; // milliseconds, of what is on the page already
const OWN_STATES = { starting: "connecting", connecting: "connecting", waiting: "degraded", refused: "stopped", token: "stopped", live: "live" };

const $ = (id) => document.getElementById(id);

export class CameraPage {
  #settings;
  #link;
  #naming;
  #name = null; // the source that is shown, or null: the person's own camera
  #timers = [];
  #list = new SourceListView($("sources"), $("source-template"));
  #people;

  /** `onChange()` is called when the own camera has changed its state. */
  constructor({ settings, link, naming, onEdit, onChange }) {
    this.#settings = settings;
    this.#link = link;
    this.#naming = naming;
    this.problem = ""; // the last error that the server sent for the picture
    this.active = false;
    this.onChange = onChange;
    this.viewer = new Viewer({ link, settings, onState: (...state) => this.#pictureState(...state), onError: ({ message }) => { this.problem = message; } });
    this.camera = new OwnCamera({ tile: $("own-tile"), video: $("own-video"), settings, link });
    this.#people = new PeopleView($("people"), $("person-template"), $("people-empty"), {
      onOpen: (face, element) => this.#nameFace(face, element.getBoundingClientRect(), "below"),
    });
    this.camera.addEventListener("state", () => this.#cameraChanged());
    $("camera-edit").addEventListener("click", () => onEdit(this.#name));
    $("camera-restart").addEventListener("click", () => this.#restart());
    this.#listen();
  }

  get title() {
    return this.#name ?? "Your camera";
  }

  show({ name }) {
    if (this.#name !== null && this.#name !== name) this.viewer.drop(this.#name);
    this.problem = "";
    this.#name = name;
    this.active = true;
    setText($("camera-title"), this.title);
    const canvas = $("camera-tile").querySelector("canvas");
    canvas.setAttribute("aria-label", `Live picture of ${name}`);
    const [width, height] = this.#link.book.get(name)?.size ?? [16, 9];
    $("camera-tile").style.setProperty("--ratio", width / height); // before the first picture: nothing jumps when it comes
    if (!this.#timers.length) this.#timers = [setInterval(() => this.#showNumbers(), NUMBERS_EVERY), setInterval(() => this.#showPeople(), NUMBERS_EVERY / 2)];
    this.refresh();
  }

  hide() {
    this.active = false;
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    this.viewer.watch([]);
    if (this.#name !== null) this.viewer.drop(this.#name);
    if (document.fullscreenElement) document.exitFullscreen();
  }

  /** The sources, the own camera or whether anybody looks has changed. */
  refresh() {
    if (!this.active) return;
    const own = this.#name === null;
    const known = own ? this.camera.running : Boolean(this.#link.book.get(this.#name)) || this.#link.state !== "open";
    if (!own && known) this.viewer.put(this.#name, $("camera-tile"));
    this.viewer.watch(!own && known && !document.hidden ? [this.#name] : []);
    if (!own && !known) this.viewer.drop(this.#name);
    $("own").hidden = !own || !known;
    $("stages").hidden = own || !known;
    $("bar").hidden = $("numbers").hidden = !known;
    $("people").closest("section").hidden = !known;
    $("mirror").dataset.setting = own ? "selfMirror" : "mirror";
    $("smooth").hidden = $("camera-stop").hidden = !own;
    $("camera-picker").hidden = !own || $("camera-device").length < 2;
    $("camera-edit").hidden = own || !known || !this.#link.mayControl;
    $("camera-events").hidden = own || !known;
    $("camera-events").setAttribute("href", routeTo("events", null, { source: this.#name }));
    this.#showEmpty(own, known);
    this.#showNumbers();
    this.#showPeople();
  }

  retry() {
    this.viewer.retry();
    this.camera.retry();
  }

  /** What the person should know, in words, or "". */
  get notice() {
    if (this.camera.state === "refused") return `Your camera: ${this.camera.detail}`;
    if (this.camera.state === "off" && this.camera.detail) return this.camera.detail;
    return this.active ? this.problem : "";
  }

  // --- the person's own camera

  async startCamera(deviceId) {
    if (this.camera.running) await this.stopCamera();
    location.hash = routeTo("own");
    await this.camera.start(deviceId);
    if (!this.camera.running) return;
    const devices = await this.camera.devices();
    $("camera-device").replaceChildren(...devices.map(({ id, label }) => new Option(label, id, false, id === this.camera.deviceId)));
    this.refresh();
  }

  /** Stop, and take the source that was made for us out of everybody's list. */
  async stopCamera() {
    this.camera.stop();
    await this.#link.request("sources.remove", { name: this.camera.name }).catch(() => {}); // gone already is just as well
  }

  async #restart() {
    try {
      await this.#link.request("sources.restart", { name: this.#name });
    } catch (error) {
      this.problem = sentence(error.message);
    }
    this.onChange();
  }

  #cameraChanged() {
    this.refresh();
    this.onChange();
  }

  #pictureState(state, detail) {
    if (state === "open") {
      this.problem = "";
      this.#link.retry(); // it needn't wait for its turn: the server is there
    }
    if (state === "refused") this.problem = detail;
    this.onChange();
  }

  // --- what is shown

  /** The stage in view, and its numbers: {stage, rate, latency, dropped}; null when there is none. */
  get #view() {
    if (this.#name === null) {
      const { stage, roundTrip, dropped, lost, rate, running } = this.camera;
      return running ? { stage, latency: roundTrip, dropped: dropped + lost, rate } : null;
    }
    const tile = this.viewer.tiles.get(this.#name);
    return tile ? { stage: tile.stage, latency: tile.latency.milliseconds, dropped: tile.dropped + tile.skipped, rate: tile.rate } : null;
  }

  #showEmpty(own, known) {
    $("camera-empty").hidden = known;
    if (known) return;
    $("own-start").hidden = !own;
    setText($("camera-empty-title"), own ? "Your camera is off" : `There is no camera called ${this.#name}`);
    const about = "Its pictures go to this server, which finds the faces in them. Others who may watch see it too.";
    setText($("camera-empty-text"), own ? about : "It may have been removed, or have another name now.");
  }

  #showNumbers() {
    this.#showSources();
    this.#showState();
    const view = this.#view;
    const message = view?.stage.message;
    $("save").disabled = !message;
    const rate = view?.rate.rate(seconds());
    setText($("n-latency-name"), this.#name === null ? "Round trip" : "Latency");
    showNumber("n-rate", rate ? rate.toFixed(1) : "–", rate ? "fps" : "");
    showNumber("n-latency", rate ? String(Math.round(view.latency)) : "–", rate ? "ms" : "");
    showNumber("n-dropped", view ? compact(view.dropped) : "–");
    showNumber("n-size", message ? `${message.size[0]}×${message.size[1]}` : "–");
    showNumber("n-faces", message ? String(message.faces.length) : "–");
  }

  #showSources() {
    const alive = this.#link.state === "open";
    const rows = shownSources(this.#link.book, this.camera).map((source) => ({
      key: source.name,
      name: source.name,
      href: routeTo("camera", source.name),
      state: alive ? source.state : "unknown",
      note: describeNumbers({ ...source, latency: source.latency_ms, dropped: 0 }),
      selected: source.name === this.#name,
    }));
    if (this.camera.running) rows.unshift(this.#ownRow());
    this.#list.render(rows);
  }

  #ownRow() {
    const { stage, rate, roundTrip, name, state } = this.camera;
    const note = describeNumbers({ size: stage.message?.size, rate: rate.rate(seconds()), latency: roundTrip });
    return { key: "", name: "Your camera", href: routeTo("own"), hint: `Others see it as ${name}`, state: OWN_STATES[state], note, selected: this.#name === null };
  }

  /** In the head; and over a picture that isn't living: why. */
  #showState() {
    const own = this.#name === null;
    const { state, reason } = (own ? null : this.#link.book.get(this.#name)) ?? {};
    $("camera-state").hidden = own || !state;
    showState($("camera-state"), this.#link.state === "open" ? state : "unknown");
    const tile = $("camera-tile");
    const silence = own ? 0 : this.viewer.silence(this.#name, seconds());
    const silent = Boolean(state) && isSilent(this.#link.book.get(this.#name), silence);
    tile.dataset.tone = silent ? "bad" : describeState(state).tone;
    const words = { stopped: "Start again", degraded: "Try now" };
    $("camera-restart").hidden = !words[state] || own || !this.#link.mayControl;
    setText($("camera-restart"), words[state] ?? "");
    const waits = state === "live" || state === "connecting" || !state;
    setText(tile.querySelector(".tile-wait"), silent ? `No picture for ${duration(silence)}` : waits ? "Waiting for pictures…" : reason || state);
  }

  #showPeople() {
    const stage = this.#view?.stage;
    if (stage) this.#people.render(stage.picture, stage.message, stage.mirrored());
  }

  // --- faces, buttons

  #nameFace(face, rect, where = "aside") {
    const stage = this.#view?.stage;
    if (!stage?.message) return;
    face = stage.message.faces.find(({ track }) => track === face.track) ?? face; // the strip is a moment behind
    this.#naming.openFace({ face, picture: stage.picture, message: stage.message, mirrored: stage.mirrored() }, rect, where);
  }

  #listen() {
    for (const container of [$("stages"), $("own")]) {
      const faceUnder = ({ target, clientX, clientY }) => (target.closest("canvas") ? this.#view?.stage.faceAt(clientX, clientY) : null);
      container.addEventListener("click", (event) => {
        const found = faceUnder(event);
        if (found) this.#nameFace(found.face, found.rect);
      });
      container.addEventListener("pointermove", (event) => container.toggleAttribute("data-pointing", Boolean(faceUnder(event))));
    }
    $("save").addEventListener("click", () => this.#savePicture());
    $("full").addEventListener("click", () => this.#toggleFullScreen());
    $("full").hidden = !document.fullscreenEnabled;
    for (const id of ["camera-start", "empty-camera", "own-start"]) $(id).addEventListener("click", () => this.useCamera());
    $("camera-stop").addEventListener("click", () => this.stopCamera());
    $("camera-device").addEventListener("change", ({ target }) => this.startCamera(target.value));
  }

  /** Start the own camera, or go back to it. */
  useCamera() {
    if (this.camera.running) location.hash = routeTo("own");
    else this.startCamera();
  }

  async #savePicture() {
    const stage = this.#view?.stage;
    const blob = await stage?.snapshot();
    if (!blob) return;
    const { source, pts } = stage.message;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${source.replace(/[^\w.-]+/g, "_")}-${(pts ?? 0).toFixed(2)}s.jpg`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  #toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else (this.#name === null ? $("own") : $("stages")).requestFullscreen();
  }
}

/** Every source but the person's own camera and the cameras that other browsers have left behind. */
export function shownSources(book, camera) {
  return book.all.filter((source) => source.name !== camera.name && !(isIdle(source) && isBrowserName(source.name)));
}

function showNumber(id, text, unit = "") {
  const element = $(id);
  if (element.dataset.shown === text + unit) return;
  element.dataset.shown = text + unit;
  const small = document.createElement("small");
  small.textContent = unit;
  element.replaceChildren(text, ...(unit ? [small] : []));
}
