// The live pictures of one source or of all: subscribes, decodes away from the page's own thread, and paints the newest.

import { Connection } from "./connection.js";
import { LatencyMeter, RateMeter } from "./meters.js";
import { Newest } from "./newest.js";
import { Pace } from "./pace.js";
import { pictureWidth, unpackPicture } from "./protocol.js";
import { Stage } from "./stage.js";

const SETTLED = 400; // milliseconds without a resize before another width is asked for
export const MOST_TILES = 16;

/** One source's picture and its numbers since it was opened. */
class Tile {
  constructor(name, element, settings, onLag) {
    this.onLag = onLag;
    this.name = name;
    this.element = element;
    this.rate = new RateMeter();
    this.latency = new LatencyMeter();
    this.dropped = 0; // by the server, for us: its own word
    this.skipped = 0; // here, before decoding, because something newer had come
    this.stage = new Stage(element, settings, { onPaint: (shown) => this.#painted(shown) });
    this.decoding = new Newest((item) => this.#decode(item), () => { this.skipped += 1; });
  }

  receive(message, jpeg) {
    this.dropped += message.dropped ?? 0;
    this.decoding.offer({ message, jpeg, receivedAt: seconds() });
  }

  async #decode({ message, jpeg, receivedAt }) {
    let picture;
    try {
      picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    } catch (error) {
      console.warn(`a picture of ${message.source} can't be decoded`, error);
      return;
    }
    if (this.closed) picture.close();
    else this.stage.show(picture, message, { receivedAt });
  }

  #painted({ message, receivedAt }) {
    const now = seconds();
    this.rate.count(now);
    this.onLag(this.latency.observe(message, receivedAt, now), this.rate.rate(now), now);
  }

  close() {
    this.closed = true;
    this.stage.close();
    this.element.remove();
  }
}

/** Shows sources in a container, one large or several as a grid. */
export class Viewer {
  #connection;
  #resizing = 0;
  #width = 0;
  #pace = new Pace();

  constructor({ container, template, settings, address, checkAccess, onState, onError, onOpen }) {
    this.container = container;
    this.template = template;
    this.settings = settings;
    this.address = address;
    this.onOpen = onOpen; // a tile was activated
    this.tiles = new Map();
    this.names = [];
    this.paused = false;
    this.#connection = new Connection({
      url: () => address("/ws/faces", { source: this.names, frames: "jpeg", width: this.#width, fps: this.#pace.fps }),
      checkAccess,
      onBinary: (buffer) => this.#receive(buffer),
      onText: (message) => message.type === "error" && onError(message),
      onState,
    });
    new ResizeObserver(() => this.#resized()).observe(container);
  }

  get state() {
    return this.#connection.state;
  }

  /** Show these sources and no others; none closes the connection. */
  show(names) {
    const wanted = names.slice(0, MOST_TILES);
    if (wanted.join("\n") === this.names.join("\n") && (this.state !== "closed" || this.paused)) return;
    this.names = wanted;
    this.#pace = new Pace();
    for (const [name, tile] of this.tiles) if (!wanted.includes(name)) this.#drop(name, tile);
    for (const name of wanted) this.#add(name);
    this.container.dataset.layout = wanted.length > 1 ? "grid" : "one";
    this.#subscribe();
  }

  retry() {
    this.#connection.retry();
  }

  /** Stop receiving but keep the last pictures, until other sources are to be shown. */
  pause() {
    this.paused = true;
    this.#connection.close();
  }

  #subscribe() {
    this.paused = false;
    if (!this.names.length) {
      this.#connection.close();
      return;
    }
    this.#width = this.#wantedWidth();
    this.#connection.open();
  }

  #add(name) {
    if (!this.tiles.has(name)) {
      const element = this.template.content.firstElementChild.cloneNode(true);
      element.dataset.source = name;
      element.querySelector("canvas").setAttribute("aria-label", `Live picture of ${name}`);
      element.querySelector(".tile-name").textContent = name;
      element.querySelector(".tile-open").addEventListener("click", () => this.onOpen(name));
      element.querySelector(".tile-open").setAttribute("aria-label", `Show ${name} alone`);
      this.tiles.set(name, new Tile(name, element, this.settings, (...seen) => this.#keepUp(...seen)));
    }
    this.container.append(this.tiles.get(name).element);
  }

  #drop(name, tile) {
    this.tiles.delete(name);
    tile.close();
  }

  #receive(buffer) {
    const { message, jpeg } = unpackPicture(buffer);
    this.tiles.get(message.source)?.receive(message, jpeg);
  }

  #keepUp(lag, rate, now) {
    if (this.state === "open" && this.#pace.observe(lag, rate, now)) this.#subscribe();
  }

  #wantedWidth() {
    const widest = Math.max(0, ...[...this.tiles.values()].map((tile) => tile.stage.cssWidth));
    return pictureWidth(widest || 640, devicePixelRatio);
  }

  #resized() {
    clearTimeout(this.#resizing);
    this.#resizing = setTimeout(() => {
      if (this.state === "open" && this.#wantedWidth() !== this.#width) this.#subscribe();
    }, SETTLED);
  }
}

export function seconds() {
  return (performance.timeOrigin + performance.now()) / 1000;
}
