// Draws what was found onto a canvas: boxes, landmarks, labels and head axes.

import { isolated } from "./format.js";
import { CONTOURS, headAxes, isConfirmed, labelPlace, trackColour } from "./geometry.js";

const SHADE = "rgb(0 0 0 / 0.4)";
const CONTOURED = 64; // CSS pixels; lines on a smaller face would cover it
const AXES = { across: "oklch(0.68 0.2 25)", up: "oklch(0.8 0.19 145)", out: "oklch(0.72 0.16 245)" };

/**
 * `placement` maps frame pixels to canvas units; `show` says which parts: {boxes, landmarks, ids, pose}. Labels come
 * last, so that no box covers one.
 */
export function drawFaces(context, faces, placement, show) {
  const drawn = faces.map((face) => {
    const box = placement.box(face.box);
    return { face, box, colour: trackColour(face.track), side: Math.max(box[2] - box[0], box[3] - box[1]) };
  });
  context.save();
  context.lineCap = context.lineJoin = "round";
  for (const { face, box, colour, side } of drawn) {
    if (show.landmarks && face.landmarks) drawLandmarks(context, face.landmarks, placement, colour, side);
    if (show.pose && face.pose) drawAxes(context, face, box, placement, side);
    if (show.boxes) drawBox(context, box, colour, side, isConfirmed(face.track));
  }
  const taken = []; // by labels
  if (show.ids) for (const { face, box, colour } of drawn) drawLabel(context, face, box, colour, placement.area, taken);
  context.restore();
}

function drawBox(context, [left, top, right, bottom], colour, side, confirmed) {
  const width = clamp(side / 70, 1.5, 3);
  const radius = Math.min(right - left, bottom - top) * 0.1;
  context.beginPath();
  context.roundRect(left, top, right - left, bottom - top, radius);
  context.lineWidth = 1;
  context.strokeStyle = colour;
  context.globalAlpha = 0.45;
  if (!confirmed) context.setLineDash([4, 5]);
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
  if (!confirmed) return;
  context.beginPath();
  const reach = radius + Math.min(right - left, bottom - top) * 0.09;
  for (const [x, y, dx, dy] of [[left, top, 1, 1], [right, top, -1, 1], [right, bottom, -1, -1], [left, bottom, 1, -1]]) {
    context.moveTo(x, y + dy * reach);
    context.lineTo(x, y + dy * radius);
    context.arcTo(x, y, x + dx * radius, y, radius);
    context.lineTo(x + dx * reach, y);
  }
  strokeTwice(context, colour, width);
}

function drawLandmarks(context, points, placement, colour, side) {
  const places = points.map(([x, y]) => placement.point(x, y));
  if (places.length === 68 && side >= CONTOURED) {
    context.beginPath();
    for (const [first, last, closed] of CONTOURS) {
      context.moveTo(...places[first]);
      for (let index = first + 1; index <= last; index++) context.lineTo(...places[index]);
      if (closed) context.closePath();
    }
    context.globalAlpha = 0.6;
    strokeTwice(context, colour, clamp(side / 220, 0.75, 1.25));
    context.globalAlpha = 1;
  }
  const radius = clamp(side / 130, 0.5, 2.2);
  context.beginPath();
  for (const [x, y] of places) {
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, 2 * Math.PI);
  }
  context.fillStyle = "rgb(255 255 255 / 0.92)";
  context.fill();
}

function drawAxes(context, face, [left, top, right, bottom], placement, side) {
  const nose = face.landmarks?.[30];
  const [x, y] = nose ? placement.point(...nose) : [(left + right) / 2, (top + bottom) / 2];
  const flip = placement.mirrored ? -1 : 1;
  for (const [name, [dx, dy]] of Object.entries(headAxes(face.pose))) {
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + flip * dx * side * 0.45, y + dy * side * 0.45);
    strokeTwice(context, AXES[name], clamp(side / 60, 2, 4));
  }
}

function drawLabel(context, face, box, colour, area, taken) {
  const size = clamp(area.width / 60, 11, 15);
  const main = labelOf(face);
  // Beside a name the detector's score would be read as how sure the name is.
  const quiet = area.width < 260 || face.score === undefined || face.identity;
  const aside = quiet ? "" : `${Math.round(face.score * 100)}%`;
  if (!main && !aside) return;
  const bold = `650 ${size}px system-ui, sans-serif`;
  const light = `450 ${size * 0.85}px system-ui, sans-serif`;
  context.font = bold;
  const mainWidth = main ? context.measureText(main).width + size * 0.5 : 0;
  context.font = light;
  const width = mainWidth + context.measureText(aside).width + size * (aside ? 1.1 : 0.6);
  const height = size * 1.65;
  const [x, y] = labelPlace(box, [width, height], size * 0.4, area, taken);
  taken.push([x, y, x + width, y + height]);
  context.beginPath();
  context.roundRect(x, y, width, height, height / 2);
  context.fillStyle = colour;
  context.fill();
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillStyle = "rgb(0 0 0 / 0.88)";
  context.font = bold;
  context.fillText(main, x + size * 0.55, y + height / 2 + 0.5);
  context.fillStyle = "rgb(0 0 0 / 0.66)";
  context.font = light;
  context.fillText(aside, x + size * 0.55 + mainWidth, y + height / 2 + 0.5);
}

/** What a face is called: its name when recognised, its track id, or nothing yet. */
export function labelOf(face) {
  const id = isConfirmed(face.track) ? `#${face.track}` : "";
  return face.identity?.name ? `${isolated(face.identity.name)} ${id}`.trim() : id;
}

function strokeTwice(context, colour, width) {
  context.strokeStyle = SHADE;
  context.lineWidth = width + 1.5;
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
