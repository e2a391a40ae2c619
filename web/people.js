// The faces in the picture now, as a strip of thumbnails cut from that very frame.

import { thumbnailOf, trackColour } from "./geometry.js";
import { labelOf } from "./overlay.js";
import { setText } from "./sources.js";

const SIDE = 112; // canvas pixels of a thumbnail
const MOST = 24;

export class PeopleView {
  constructor(list, template, empty) {
    this.list = list;
    this.template = template;
    this.empty = empty;
  }

  /** Show the faces of what a stage shows; `mirrored` as on the stage. */
  render(picture, message, mirrored) {
    const faces = (message?.faces ?? []).slice(0, MOST).toSorted((a, b) => order(a) - order(b));
    this.empty.hidden = faces.length > 0;
    while (this.list.children.length > faces.length) this.list.lastElementChild.remove();
    while (this.list.children.length < faces.length) {
      this.list.append(this.template.content.firstElementChild.cloneNode(true));
    }
    faces.forEach((face, index) => this.#fill(this.list.children[index], face, picture, message.size, mirrored));
  }

  #fill(element, face, picture, size, mirrored) {
    const canvas = element.querySelector("canvas");
    const context = canvas.getContext("2d");
    const scale = (picture.videoWidth || picture.width) / size[0];
    const [x, y, side] = thumbnailOf(face.box, size).map((value) => value * scale);
    context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? SIDE : 0, 0);
    context.drawImage(picture, x, y, side, side, 0, 0, SIDE, SIDE);
    canvas.style.setProperty("--colour", trackColour(face.track));
    setText(element.querySelector(".person-name"), labelOf(face) || "new");
    setText(element.querySelector(".person-note"), describeFace(face));
  }
}

function order(face) {
  return face.track >= 0 ? face.track : Number.MAX_SAFE_INTEGER;
}

function describeFace({ score, pose }) {
  const parts = [`${Math.round((score ?? 0) * 100)}% sure`];
  if (pose) parts.push(`turned ${Math.round(Math.abs(pose.yaw))}°`);
  return parts.join(" · ");
}
