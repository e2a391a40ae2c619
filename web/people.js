// The faces in the picture now, as a strip of thumbnails cut from that very frame.

import { plural, setText } from "./format.js";
import { isConfirmed, thumbnailOf, trackColour } from "./geometry.js";
import { labelOf } from "./overlay.js";

const MOST = 24;

/** Paint a square canvas with a face, cut from the picture of a frame of `size`. */
export function drawThumbnail(canvas, face, picture, size, mirrored) {
  const side = canvas.width;
  const context = canvas.getContext("2d");
  const scale = (picture.videoWidth || picture.width) / size[0];
  const [x, y, wide] = thumbnailOf(face.box, size).map((value) => value * scale);
  context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? side : 0, 0);
  context.drawImage(picture, x, y, wide, wide, 0, 0, side, side);
  canvas.style.setProperty("--colour", trackColour(face.track));
}

/** Keeps its buttons with their faces, so that the one in focus stays who it is while others come and go. */
export class PeopleView {
  #elements = new Map(); // track, or a place in the row for a face without one → list element
  #shown = new Map(); // list element → the face that it shows

  constructor(list, template, empty, { onOpen }) {
    this.list = list;
    this.template = template;
    this.empty = empty;
    this.onOpen = onOpen; // called with a face and its element
  }

  /** Show the faces of what a stage shows; `mirrored` as on the stage. */
  render(picture, message, mirrored) {
    const faces = (message?.faces ?? []).slice(0, MOST).toSorted((a, b) => order(a) - order(b));
    this.empty.hidden = faces.length > 0;
    const keys = faces.map(({ track }, index) => (isConfirmed(track) ? track : `new ${index}`));
    for (const [key, element] of this.#elements) if (!keys.includes(key)) this.#drop(key, element);
    faces.forEach((face, index) => {
      const element = this.#elements.get(keys[index]) ?? this.#create(keys[index]);
      if (this.list.children[index] !== element) this.list.insertBefore(element, this.list.children[index] ?? null);
      this.#fill(element, face, picture, message.size, mirrored);
    });
  }

  #create(key) {
    const element = this.template.content.firstElementChild.cloneNode(true);
    element.querySelector("button").addEventListener("click", () => this.onOpen(this.#shown.get(element), element));
    this.#elements.set(key, element);
    return element;
  }

  #drop(key, element) {
    this.#elements.delete(key);
    this.#shown.delete(element);
    element.remove();
  }

  #fill(element, face, picture, size, mirrored) {
    this.#shown.set(element, face);
    drawThumbnail(element.querySelector("canvas"), face, picture, size, mirrored);
    element.querySelector("button").disabled = !isConfirmed(face.track);
    setText(element.querySelector(".person-name"), labelOf(face) || "new");
    setText(element.querySelector(".person-note"), describeFace(face));
  }
}

export function describeLooks(looks) {
  return plural(looks, "look");
}

function order(face) {
  return face.track >= 0 ? face.track : Number.MAX_SAFE_INTEGER;
}

function describeFace({ score, pose, identity }) {
  const parts = [identity ? `${Math.round(identity.similarity * 100)}% alike` : `${Math.round((score ?? 0) * 100)}% sure`];
  if (pose) parts.push(`turned ${Math.round(Math.abs(pose.yaw))}°`);
  return parts.join(" · ");
}
