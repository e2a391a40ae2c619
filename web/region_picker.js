// Draw on a camera's picture where to look; the number fields say and do the same.

import { Newest } from "./newest.js";
import { Connection } from "./connection.js";
import { unpackPicture } from "./protocol.js";
import { LEAST, WHOLE, between, graspAt, isWhole, moved, percents } from "./region.js";

const WIDTH = 640; // pixels of the picture asked for
const RATE = 2; // a second

export class RegionPicker {
  #canvas;
  #inputs;
  #connection;
  #source = "";
  #picture = null;
  #region = WHOLE;
  #drag = null; // {edges, from, start}
  #newest = new Newest((item) => this.#decode(item));
  #observer = new ResizeObserver(() => this.#draw());

  /** `inputs` are the four number fields, in per cent. */
  constructor(canvas, inputs, link) {
    this.#canvas = canvas;
    this.#inputs = inputs;
    this.#connection = new Connection({
      url: () => link.address("/ws/faces", { source: this.#source, frames: "jpeg", width: WIDTH, fps: RATE, fields: "track" }),
      checkAccess: link.checkAccess,
      onBinary: (buffer) => this.#newest.offer(buffer),
    });
    for (const input of inputs) input.addEventListener("input", () => this.#typed());
    canvas.addEventListener("pointerdown", (event) => this.#grasp(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(end, () => { this.#drag = null; });
  }

  /** The region, or null: the whole picture. */
  get value() {
    return isWhole(this.#region) ? null : this.#region.map((share) => Math.round(share * 10000) / 10000);
  }

  /** What is wrong with the numbers, or "". */
  get wrong() {
    const values = this.#inputs.map((input, index) => (input.value === "" && !input.validity.badInput ? WHOLE[index] * 100 : input.valueAsNumber));
    if (values.some((value) => !(value >= 0 && value <= 100))) return "These are numbers from 0 to 100.";
    if (values[2] - values[0] < LEAST * 100) return "Right must be larger than left, by 2 at least.";
    if (values[3] - values[1] < LEAST * 100) return "Bottom must be larger than top, by 2 at least.";
    return "";
  }

  /** Begin with a region (null: everywhere) of a source whose picture can be drawn on (null: there is none yet). */
  open(source, region) {
    this.set(region ?? WHOLE);
    this.#canvas.parentElement.hidden = source === null;
    if (source === null) return;
    this.#source = source;
    this.#observer.observe(this.#canvas);
    this.#connection.open();
    this.#draw();
  }

  close() {
    this.#connection.close();
    this.#observer.disconnect();
    this.#picture?.close();
    this.#picture = null;
  }

  set(region) {
    this.#region = region;
    const texts = isWhole(region) ? ["", "", "", ""] : percents(region);
    this.#inputs.forEach((input, index) => { input.value = texts[index]; });
    this.#draw();
  }

  #typed() {
    if (this.wrong) return;
    this.#region = this.#inputs.map((input, index) => (input.value === "" ? WHOLE[index] : input.valueAsNumber / 100));
    this.#draw();
  }

  #place({ clientX, clientY }) {
    const { left, top } = this.#canvas.getBoundingClientRect();
    return [clientX - left, clientY - top];
  }

  get #size() {
    return [this.#canvas.clientWidth, this.#canvas.clientHeight];
  }

  #grasp(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.#canvas.setPointerCapture(event.pointerId);
    const from = this.#place(event);
    // Where everything is looked at, a new region is drawn; its edges can't be grasped as they are the picture's own.
    const edges = isWhole(this.#region) ? null : graspAt(this.#region, from, this.#size);
    this.#drag = { edges, from, start: this.#region };
  }

  #move(event) {
    const [width, height] = this.#size;
    const place = this.#place(event);
    if (!event.buttons) this.#drag = null; // let go outside the window
    if (!this.#drag) {
      this.#canvas.dataset.grasp = isWhole(this.#region) ? "draw" : cursorOf(graspAt(this.#region, place, [width, height]));
      return;
    }
    const { edges, from, start } = this.#drag;
    if (edges) {
      this.set(moved(start, edges, (place[0] - from[0]) / width, (place[1] - from[1]) / height));
      return;
    }
    const drawn = between([from[0] / width, from[1] / height], [place[0] / width, place[1] / height]);
    if (drawn[2] - drawn[0] >= LEAST && drawn[3] - drawn[1] >= LEAST) this.set(drawn);
  }

  async #decode(buffer) {
    const { message, jpeg } = unpackPicture(buffer);
    let picture;
    try {
      picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    } catch {
      return; // the next one may be whole
    }
    if (this.#connection.state === "closed" || message.source !== this.#source) {
      picture.close();
      return;
    }
    this.#picture?.close();
    this.#picture = picture;
    this.#canvas.style.setProperty("--ratio", message.size[0] / message.size[1]);
    this.#draw();
  }

  #draw() {
    const [width, height] = this.#size;
    if (!width) return;
    const canvas = this.#canvas;
    const density = devicePixelRatio;
    [canvas.width, canvas.height] = [Math.round(width * density), Math.round(height * density)];
    const context = canvas.getContext("2d");
    context.scale(density, density);
    if (this.#picture) context.drawImage(this.#picture, 0, 0, width, height);
    const [left, top, right, bottom] = this.#region.map((share, index) => share * (index % 2 ? height : width));
    context.fillStyle = "rgb(0 0 0 / 0.55)";
    const outside = new Path2D();
    outside.rect(0, 0, width, height);
    outside.rect(left, top, right - left, bottom - top);
    context.fill(outside, "evenodd");
    context.strokeStyle = "#5ad1c3";
    context.lineWidth = 2;
    context.strokeRect(left + 1, top + 1, right - left - 2, bottom - top - 2);
    if (isWhole(this.#region)) return;
    context.fillStyle = "#fff";
    for (const x of [left, right]) for (const y of [top, bottom]) context.fillRect(x - 5, y - 5, 10, 10);
  }
}

function cursorOf(edges) {
  if (!edges) return "draw";
  if (edges.every(Boolean)) return "move";
  const [left, top, right, bottom] = edges;
  if ((left || right) && (top || bottom)) return left === top ? "nwse" : "nesw";
  return left || right ? "ew" : "ns";
}
