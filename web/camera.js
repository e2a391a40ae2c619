// The person's own camera: pushes its frames to the server and shows each with the faces found in that very frame.

import { Connection } from "./connection.js";
import { Flight, LinkFit } from "./flight.js";
import { RateMeter, median } from "./meters.js";
import { Stage } from "./stage.js";
import { seconds } from "./viewer.js";

/** Why the camera can't be used, in words for the person. */
export function explainCameraError(error) {
  switch (error.name) {
    case "InsecureContext":
      return "Browsers lend their camera only to secure pages. Open this page by https:// or, on this machine, as http://localhost.";
    case "NotAllowedError":
    case "SecurityError":
      return "The camera is blocked for this page. Allow it in the address bar's site settings, then try again.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No camera was found. Connect one and try again.";
    case "NotReadableError":
    case "AbortError":
      return "The camera is busy. Close the program that uses it and try again.";
    default:
      return `The camera didn't start: ${error.message || error.name}.`;
  }
}

/** A name for this browser's camera, as others will see it. */
function cameraName() {
  return `browser-${Math.random().toString(36).slice(2, 6).padEnd(4, "0")}`;
}

/** Ask for a camera; throws an error that `explainCameraError` knows. */
async function openCamera(deviceId) {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) {
    throw Object.assign(new Error("not a secure context"), { name: "InsecureContext" });
  }
  const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
  return navigator.mediaDevices.getUserMedia({
    audio: false,
    video: { ...which, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } },
  });
}

/** Everything between pressing *Use my camera* and *Stop*. Dispatches "state" when something worth showing changed. */
export class OwnCamera extends EventTarget {
  #settings;
  #connection;
  #flight = new Flight(2);
  #link = new LinkFit();
  #sketch = document.createElement("canvas");
  #grabbing = false;
  #fresh = false;
  #roundTrips = [];
  #watch = 0;
  #run = 0; // counts starts and stops: what belongs to an earlier one is thrown away

  constructor({ tile, video, settings, link }) {
    super();
    this.video = video;
    this.name = cameraName();
    this.state = "off"; // off, starting, connecting, live, waiting, refused
    this.detail = "";
    this.answers = 0;
    this.lost = 0;
    this.dropped = 0;
    this.rate = new RateMeter();
    this.stream = null;
    this.#settings = settings;
    this.stage = new Stage(tile, settings, { mirrored: () => settings.selfMirror && this.facing !== "environment" });
    this.#connection = new Connection({
      url: () => link.address("/ws/push", { source: this.name }),
      checkAccess: link.checkAccess,
      onText: (message) => this.#receive(message),
      onState: (state, detail) => this.#linkChanged(state, detail),
      mayRetry: (code) => code === "source-taken" && this.#renamed(),
    });
  }

  get running() {
    return this.stream !== null;
  }

  get facing() {
    return this.stream?.getVideoTracks()[0]?.getSettings().facingMode ?? "user";
  }

  get deviceId() {
    return this.stream?.getVideoTracks()[0]?.getSettings().deviceId ?? "";
  }

  /** Milliseconds from taking a frame to having its faces: the median of the last 15. */
  get roundTrip() {
    return median(this.#roundTrips);
  }

  get inFlight() {
    return this.#flight.size;
  }

  /** Cameras to choose from, once one may be used: [{id, label}]. */
  async devices() {
    const all = await navigator.mediaDevices.enumerateDevices();
    return all
      .filter(({ kind }) => kind === "videoinput")
      .map(({ deviceId, label }, index) => ({ id: deviceId, label: label || `Camera ${index + 1}` }));
  }

  async start(deviceId) {
    const run = ++this.#run;
    this.#release();
    this.name = cameraName();
    this.#become("starting");
    let stream;
    try {
      stream = await openCamera(deviceId);
    } catch (error) {
      if (run === this.#run) this.#become("off", explainCameraError(error));
      return;
    }
    if (run !== this.#run) {
      for (const track of stream.getTracks()) track.stop();
      return;
    }
    this.stream = stream;
    stream.getVideoTracks()[0].addEventListener("ended", () => {
      if (this.stream === stream) this.stop("The camera was unplugged or taken away.");
    });
    this.video.srcObject = stream;
    await this.video.play().catch(() => {}); // play() rejects when stop() comes first
    if (run !== this.#run) return;
    this.#connection.open();
    this.#watch = setInterval(() => this.#expire(), 500);
    this.#nextFrame(run);
  }

  stop(why = "") {
    this.#run += 1;
    this.#release();
    this.#become("off", why);
  }

  retry() {
    this.#connection.retry();
  }

  #release() {
    clearInterval(this.#watch);
    this.#connection.close();
    for (const picture of this.#flight.reset()) picture.close();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
    this.#roundTrips = [];
    this.stage.clear();
  }

  #nextFrame(run) {
    const next = () => {
      if (run !== this.#run) return;
      this.#fresh = true;
      this.#pump();
      if (this.#settings.smooth && this.stage.message) this.stage.show(this.video, this.stage.message);
      this.#nextFrame(run);
    };
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(next);
    else requestAnimationFrame(next);
  }

  /** Send the newest frame if there is one, there is room on the way, and none is being packed already. */
  async #pump() {
    if (!this.#fresh || this.#grabbing || !this.#flight.hasRoom || this.#connection.state !== "open") return;
    if (!this.video.videoWidth) return;
    this.#fresh = false;
    this.#grabbing = true;
    const run = this.#run;
    let picture = null;
    try {
      const takenAt = seconds();
      picture = await createImageBitmap(this.video);
      const jpeg = await this.#pack(picture);
      if (run === this.#run && this.#connection.send(jpeg)) {
        this.#flight.sent(picture, takenAt);
        picture = null;
      }
    } catch (error) {
      console.warn("a frame of the camera is left out", error); // the next one may be had
    } finally {
      picture?.close();
      this.#grabbing = false;
    }
    this.#pump();
  }

  async #pack(picture) {
    const { width: most, quality } = this.#link.step;
    const canvas = this.#sketch;
    const scale = Math.min(1, most / Math.max(picture.width, picture.height));
    const [width, height] = [Math.round(picture.width * scale), Math.round(picture.height * scale)];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d", { alpha: false }).drawImage(picture, 0, 0, width, height);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
    return blob.arrayBuffer();
  }

  #receive(message) {
    if (message.type === "error") this.detail = message.message;
    if (message.type !== "faces") return;
    const now = seconds();
    const answer = this.#flight.answered(message.seq, now);
    if (!answer) return;
    for (const picture of answer.passed) picture.close();
    this.answers += 1;
    this.dropped += answer.passed.length;
    this.rate.count(now);
    this.#roundTrips.push(answer.roundTrip * 1000);
    if (this.#roundTrips.length > 15) this.#roundTrips.shift();
    this.#link.observe(answer.roundTrip, (message.latency_ms ?? 0) / 1000);
    if (this.#settings.smooth) {
      answer.payload.close();
      this.stage.show(this.video, message);
    } else {
      this.stage.show(answer.payload, message);
    }
    this.#pump();
  }

  #expire() {
    const lost = this.#flight.expire(seconds());
    for (const picture of lost) picture.close();
    if (!lost.length) return;
    this.lost += lost.length;
    this.#link.lost();
    this.#connection.restart(); // our numbers and the server's may differ now: both begin at 0 again
  }

  /** Another tab, or our own connection of a moment ago, still holds the name: the next try takes a new one. */
  #renamed() {
    this.name = cameraName();
    return true;
  }

  #linkChanged(state, detail) {
    if (!this.running) return;
    for (const picture of this.#flight.reset()) picture.close(); // the server numbers each connection from 0
    const names = { open: "live", connecting: "connecting", waiting: "waiting", refused: "refused", token: "token" };
    if (names[state]) this.#become(names[state], state === "refused" ? detail : "");
    if (state === "open") this.#pump();
  }

  #become(state, detail = "") {
    this.state = state;
    this.detail = detail;
    this.dispatchEvent(new Event("state"));
  }
}
