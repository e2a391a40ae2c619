// The live pictures of some sources, over one connection: subscribes, decodes away from the page's own thread, and paints the newest.

import { Connection } from "./connection.js";
import { LatencyMeter, RateMeter } from "./meters.js";
import { Newest } from "./newest.js";
import { Pace } from "./pace.js";
import { pictureWidth, unpackPicture } from "./protocol.js";
import { Stage } from "./stage.js";

const SETTLED = 400; // milliseconds without a change of size before another width is asked for
const GATHERED = 200; // milliseconds in which changes of what is watched become one

/** One source's picture and its numbers since it was opened. */
class Tile {
  constructor(name, element, settings, onLag) {
    this.onLag = onLag;
    this.name = name;
    this.element = element;
    this.rate = new RateMeter();
    this.latency = new LatencyMeter();
    this.dropped = 0; // by the server, for us: its own word
    this.heardAt = 0; // when the last picture came
    this.skipped = 0; // here, before decoding, because something newer had come
    this.stage = new Stage(element, settings, { onPaint: (shown) => this.#painted(shown) });
    this.decoding = new Newest((item) => this.#decode(item), () => { this.skipped += 1; });
  }

  receive(message, jpeg) {
    this.heardAt = seconds();
    this.dropped += message.dropped ?? 0;
    this.decoding.offer({ message, jpeg, receivedAt: this.heardAt });
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
  }
}

/**
 * Paints sources on tiles: elements with a canvas. Only those that are watched are asked for. Many at once are asked for
 * small and seldom, so that fifty cameras cost about as much as one large.
 *
 * `fields` are those of each face that are wanted; `most(count)` limits how `fps`, `width` and screen `density` are asked
 * for when so many are watched.
 */
export class Viewer {
  #connection;
  #link;
  #settings;
  #fields;
  #most;
  #onError;
  #watched = [];
  #changing = 0;
  #resizing = 0;
  #width = 0;
  #askedAt = 0;
  #pace = new Pace();
  #observer = new ResizeObserver(() => this.#resized());

  constructor({ link, settings, fields = null, most = () => ({}), onState = () => {}, onError = () => {} }) {
    this.#link = link;
    this.#settings = settings;
    this.#fields = fields;
    this.#most = most;
    this.#onError = onError;
    this.tiles = new Map();
    this.#connection = new Connection({
      url: () => link.address("/ws/faces", this.#wishes()),
      checkAccess: link.checkAccess,
      onBinary: (buffer) => this.#receive(buffer),
      onText: (message) => message.type === "error" && this.#onError(message),
      onState,
    });
  }

  get state() {
    return this.#connection.state;
  }

  get watched() {
    return this.#watched;
  }

  /** For how many seconds a source's pictures have stayed away; 0 where none is asked for. */
  silence(name, now) {
    if (this.state === "closed" || !this.#watched.includes(name)) return 0;
    return now - Math.max(this.#askedAt, this.tiles.get(name)?.heardAt ?? 0);
  }

  /** Give a source a place: an element with a canvas. */
  put(name, element) {
    if (this.tiles.get(name)?.element === element) return;
    this.drop(name);
    this.tiles.set(name, new Tile(name, element, this.#settings, (...seen) => this.#keepUp(...seen)));
    this.#observer.observe(element);
  }

  drop(name) {
    const tile = this.tiles.get(name);
    if (!tile) return;
    this.tiles.delete(name);
    this.#observer.unobserve(tile.element);
    tile.close();
  }

  /** Ask for the pictures of these and no others, once nothing has changed for a moment; none hangs up. */
  watch(names) {
    clearTimeout(this.#changing);
    const same = names.join("\n") === this.#watched.join("\n");
    if (same && (this.state !== "closed" || !names.length)) return;
    if (!names.length) this.#begin(names);
    else if (this.state === "closed") this.#begin(names);
    else this.#changing = setTimeout(() => this.#begin(names), GATHERED);
  }

  /** Stop receiving but keep the last pictures, until something is to be watched. */
  pause() {
    clearTimeout(this.#changing);
    this.#connection.close();
  }

  retry() {
    this.#connection.retry();
  }

  /** Nothing comes any more, though nobody has hung up: connect anew. */
  restart() {
    if (this.state === "open") this.#connection.restart();
  }

  #begin(names) {
    this.#watched = names;
    this.#pace = new Pace();
    this.#subscribe();
  }

  #subscribe() {
    if (!this.#watched.length) {
      this.#connection.close();
      return;
    }
    this.#width = this.#wantedWidth();
    this.#askedAt = seconds();
    this.#connection.open();
  }

  #wishes() {
    const { fps } = this.#most(this.#watched.length);
    const limits = [fps, this.#pace.fps].filter(Boolean);
    return {
      source: this.#watched,
      frames: "jpeg",
      width: this.#width,
      fps: limits.length ? Math.min(...limits) : null,
      fields: this.#fields,
    };
  }

  #receive(buffer) {
    const { message, jpeg } = unpackPicture(buffer);
    this.tiles.get(message.source)?.receive(message, jpeg);
  }

  #keepUp(lag, rate, now) {
    if (this.state === "open" && this.#pace.observe(lag, rate, now)) this.#subscribe();
  }

  #wantedWidth() {
    const { width = Infinity, density = 3 } = this.#most(this.#watched.length);
    const widest = Math.max(0, ...this.#watched.map((name) => this.tiles.get(name)?.stage.cssWidth ?? 0));
    return Math.min(width, pictureWidth(widest || 640, Math.min(devicePixelRatio, density)));
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
