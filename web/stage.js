// One picture with its faces on one canvas: both belong to the same frame and are painted in the same animation frame.

import { Placement, faceAt, fit } from "./geometry.js";
import { drawFaces } from "./overlay.js";

/**
 * `show(picture, message)` takes the picture over (an ImageBitmap is closed when its turn has passed; a video is left
 * alone). If another comes before the screen's next refresh, the newer one is painted and the older never is.
 */
export class Stage {
  #settings;
  #canvas;
  #context;
  #current = null;
  #scheduled = 0;
  #unpainted = false;
  #size = [0, 0]; // canvas pixels

  constructor(tile, settings, { mirrored = () => settings.mirror, onPaint = () => {} } = {}) {
    this.tile = tile;
    this.mirrored = mirrored;
    this.onPaint = onPaint;
    this.painted = 0;
    this.skipped = 0;
    this.#settings = settings;
    this.#canvas = tile.querySelector("canvas");
    this.#context = this.#canvas.getContext("2d", { alpha: true });
    this.observer = new ResizeObserver(([entry]) => this.#resized(entry));
    this.observer.observe(this.#canvas);
    this.repaint = () => this.#schedule();
    settings.addEventListener("change", this.repaint);
  }

  get message() {
    return this.#current?.message ?? null;
  }

  get picture() {
    return this.#current?.picture ?? null;
  }

  get cssWidth() {
    return this.#canvas.clientWidth;
  }

  /** The face at a place of the window, in CSS pixels: `{face, rect}` with what it covers there; or null. */
  faceAt(x, y) {
    if (!this.#current) return null;
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    const placement = this.#placement(width, height);
    const face = faceAt(this.message.faces, placement, x - left, y - top);
    if (!face) return null;
    const box = placement.box(face.box);
    return { face, rect: { left: left + box[0], top: top + box[1], right: left + box[2], bottom: top + box[3] } };
  }

  show(picture, message, details = {}) {
    if (this.#unpainted) this.skipped += 1;
    if (this.#current && this.#current.picture !== picture) this.#current.picture.close?.();
    this.#current = { picture, message, ...details };
    this.#unpainted = true;
    const [width, height] = message.size;
    this.tile.style.setProperty("--ratio", width / height);
    this.tile.dataset.filled = "yes";
    this.#schedule();
  }

  clear() {
    this.#current?.picture.close?.();
    this.#current = null;
    this.#unpainted = false;
    delete this.tile.dataset.filled;
    this.#schedule();
  }

  close() {
    cancelAnimationFrame(this.#scheduled);
    this.observer.disconnect();
    this.#settings.removeEventListener("change", this.repaint);
    this.#current?.picture.close?.();
    this.#current = null;
    delete this.tile.dataset.filled;
    this.#context.reset();
  }

  /** The picture in its own resolution with what is drawn over it now, as a JPEG blob; null when there is none. */
  async snapshot() {
    if (!this.#current) return null;
    const { picture, message } = this.#current;
    const canvas = document.createElement("canvas");
    const natural = picture.videoWidth || picture.width;
    canvas.width = Math.max(natural, Math.min(message.size[0], 1280));
    canvas.height = Math.round((canvas.width * message.size[1]) / message.size[0]);
    this.#draw(canvas.getContext("2d"), canvas.width, canvas.height);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.94));
  }

  #resized(entry) {
    const exact = entry.devicePixelContentBoxSize?.[0];
    const density = devicePixelRatio;
    const width = exact?.inlineSize ?? Math.round(entry.contentRect.width * density);
    const height = exact?.blockSize ?? Math.round(entry.contentRect.height * density);
    if (width === this.#size[0] && height === this.#size[1]) return;
    this.#size = [width, height];
    this.#schedule();
  }

  #schedule() {
    this.#scheduled ||= requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    this.#scheduled = 0;
    const [width, height] = this.#size;
    const canvas = this.#canvas;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    if (!this.#current || !width) {
      context.clearRect(0, 0, width, height);
      return;
    }
    const scale = width / canvas.clientWidth || 1;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width / scale, height / scale);
    this.#draw(context, width / scale, height / scale);
    if (!this.#unpainted) return;
    this.#unpainted = false;
    this.painted += 1;
    this.onPaint(this.#current);
  }

  /** Of the picture shown now, on a canvas of this size. */
  #placement(width, height) {
    const { size } = this.#current.message;
    return new Placement(size, fit(...size, width, height), this.mirrored());
  }

  #draw(context, width, height) {
    const { picture, message } = this.#current;
    const placement = this.#placement(width, height);
    const { area, mirrored } = placement;
    context.save();
    context.imageSmoothingQuality = "high";
    if (mirrored) {
      context.translate(2 * area.x + area.width, 0);
      context.scale(-1, 1);
    }
    context.drawImage(picture, area.x, area.y, area.width, area.height);
    context.restore();
    drawFaces(context, message.faces, placement, this.#settings);
  }
}
