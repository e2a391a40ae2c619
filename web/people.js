// The faces in the picture now, as a strip of thumbnails cut from that very frame, and the people who have names.

import { isConfirmed, thumbnailOf, trackColour } from "./geometry.js";
import { labelOf } from "./overlay.js";
import { setText } from "./sources.js";

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

/** Everybody who has a name, in the picture or not; asked for when it is unfolded. */
export class KnownView {
  constructor(details, template, { listPeople, onOpen }) {
    this.details = details;
    this.template = template;
    this.listPeople = listPeople;
    this.onOpen = onOpen; // called with a person and its element
    details.addEventListener("toggle", () => this.refresh());
  }

  async refresh() {
    if (!this.details.open) return;
    const note = this.details.querySelector("p");
    try {
      const people = await this.listPeople();
      this.details.querySelector("ul").replaceChildren(...people.map((person) => this.#row(person)));
      setText(note, people.length ? "" : "Nobody yet. Click a face to name it.");
    } catch (error) {
      setText(note, error.message);
    }
    note.hidden = !note.textContent;
  }

  #row(person) {
    const element = this.template.content.firstElementChild.cloneNode(true);
    setText(element.querySelector(".known-name"), person.name);
    setText(element.querySelector(".known-note"), describeLooks(person.looks));
    element.querySelector("button").addEventListener("click", () => this.onOpen(person, element));
    return element;
  }
}

export function describeLooks(looks) {
  return looks === 1 ? "1 look" : `${looks} looks`;
}

function order(face) {
  return face.track >= 0 ? face.track : Number.MAX_SAFE_INTEGER;
}

function describeFace({ score, pose, identity }) {
  const parts = [identity ? `${Math.round(identity.similarity * 100)}% alike` : `${Math.round((score ?? 0) * 100)}% sure`];
  if (pose) parts.push(`turned ${Math.round(Math.abs(pose.yaw))}°`);
  return parts.join(" · ");
}
