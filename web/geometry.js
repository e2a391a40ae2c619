// Where things go on the canvas, and in which colour: pure functions of numbers.

/** 68-point (300-W) contours: `[first, last, closed]`. */
export const CONTOURS = [
  [0, 16, false], [17, 21, false], [22, 26, false], [27, 30, false], [31, 35, false],
  [36, 41, true], [42, 47, true], [48, 59, true], [60, 67, true],
];

const GOLDEN_ANGLE = 137.508;

/** One steady colour per track id, neighbours far apart in hue; a face without an id yet is grey. */
export function trackColour(track) {
  if (!isConfirmed(track)) return "oklch(0.88 0 0)";
  return `oklch(0.85 0.14 ${((track * GOLDEN_ANGLE + 48) % 360).toFixed(1)})`;
}

export function isConfirmed(track) {
  return Number.isInteger(track) && track >= 0;
}

/** The largest rectangle of a picture's shape centred in an area: `{x, y, width, height}`. */
export function fit(pictureWidth, pictureHeight, areaWidth, areaHeight) {
  const scale = Math.min(areaWidth / pictureWidth, areaHeight / pictureHeight);
  const width = pictureWidth * scale;
  const height = pictureHeight * scale;
  return { x: (areaWidth - width) / 2, y: (areaHeight - height) / 2, width, height };
}

/** Maps frame pixels to canvas units. Mirroring flips places, never text: callers draw with mapped coordinates. */
export class Placement {
  constructor(frameSize, area, mirrored = false) {
    const [frameWidth, frameHeight] = frameSize;
    this.area = area;
    this.mirrored = mirrored;
    this.scaleX = area.width / frameWidth;
    this.scaleY = area.height / frameHeight;
  }

  /** (x, y) in frame pixels → [x, y] on the canvas. */
  point(x, y) {
    const across = x * this.scaleX;
    return [this.area.x + (this.mirrored ? this.area.width - across : across), this.area.y + y * this.scaleY];
  }

  /** [left, top, right, bottom] in frame pixels → the same on the canvas, left still left of right. */
  box([left, top, right, bottom]) {
    const [x0, y0] = this.point(left, top);
    const [x1, y1] = this.point(right, bottom);
    return [Math.min(x0, x1), y0, Math.max(x0, x1), y1];
  }
}

/**
 * A head's axes as seen: three [x, y] unit vectors on the picture (the person's left-to-right as seen, up, out of the
 * face), from pitch, yaw and roll in degrees of the rotation Rz(roll)·Ry(yaw)·Rx(pitch).
 */
export function headAxes({ pitch, yaw, roll }) {
  const [p, y, r] = [pitch, yaw, roll].map((degrees) => (degrees * Math.PI) / 180);
  const [sp, cp, sy, cy, sr, cr] = [Math.sin(p), Math.cos(p), Math.sin(y), Math.cos(y), Math.sin(r), Math.cos(r)];
  return {
    across: [cr * cy, sr * cy],
    up: [sr * cp - cr * sy * sp, -cr * cp - sr * sy * sp],
    out: [-(cr * sy * cp + sr * sp), cr * sp - sr * sy * cp],
  };
}

const ROOMY = 5; // a box so many labels high hides little under one: a large face's doesn't jump to its other end

/**
 * Where a label of `size` goes that belongs to a box on the canvas: above it, or where that would leave the area or
 * cover one of the labels that are `taken`, below, within, or at the other side. [x, y].
 */
export function labelPlace([left, top, right, bottom], [width, height], gap, area, taken) {
  const [lowest, rightmost] = [area.y + area.height - height - 2, area.x + area.width - width - 2];
  const kept = (x) => Math.max(area.x + 2, Math.min(x, rightmost));
  const below = [bottom + gap, bottom - height - gap];
  const within = Math.max(area.y + 2, top + gap);
  const rows = [top - height - gap, ...(bottom - top > ROOMY * height ? [within, ...below] : [...below, within])];
  const places = rows.flatMap((y) => [[kept(left), y], [kept(right - width), y]]);
  const inside = places.filter(([, y]) => y >= area.y + 2 && y <= lowest);
  const free = inside.find(([x, y]) => !taken.some(([x0, y0, x1, y1]) => x < x1 && x + width > x0 && y < y1 && y + height > y0));
  return free ?? inside[0] ?? [kept(left), Math.max(area.y + 2, Math.min(top, lowest))];
}

/** A square around a box, a little wider than it, kept inside the frame: [x, y, side] for a thumbnail. */
export function thumbnailOf([left, top, right, bottom], [frameWidth, frameHeight]) {
  const side = Math.min(Math.max(right - left, bottom - top) * 1.35, frameWidth, frameHeight);
  const place = (middle, length) => Math.min(Math.max(middle - side / 2, 0), length - side);
  return [place((left + right) / 2, frameWidth), place((top + bottom) / 2, frameHeight), side];
}

const GAP = 12; // CSS pixels between a box and what it stands beside
const SMALLEST_TARGET = 44; // CSS pixels, of what a finger can hit

/** The face that a person means who points at (x, y) on the canvas: of those under the finger the nearest; or null. */
export function faceAt(faces, placement, x, y) {
  let found = null;
  let least = Infinity;
  for (const face of faces) {
    if (!isConfirmed(face.track)) continue;
    const [left, top, right, bottom] = placement.box(face.box);
    const halfWidth = Math.max(right - left, SMALLEST_TARGET) / 2;
    const halfHeight = Math.max(bottom - top, SMALLEST_TARGET) / 2;
    const across = Math.abs(x - (left + right) / 2);
    const down = Math.abs(y - (top + bottom) / 2);
    if (across > halfWidth || down > halfHeight) continue;
    const distance = Math.hypot(across, down);
    if (distance < least) [found, least] = [face, distance];
  }
  return found;
}

/**
 * Where to put a box of `size` beside a rectangle {left, top, right, bottom}: at its sides, below or above, wherever it
 * covers nothing of it, and inside the window in any case. `first` is "aside" or "below". [x, y].
 */
export function besides({ left, top, right, bottom }, [width, height], [windowWidth, windowHeight], first = "aside") {
  const keep = (value, room) => Math.max(GAP, Math.min(value, room - GAP));
  const across = keep((left + right - width) / 2, windowWidth - width);
  const down = keep((top + bottom - height) / 2, windowHeight - height);
  const aside = [[right + GAP, down], [left - GAP - width, down]];
  const stacked = [[across, bottom + GAP], [across, top - GAP - height]];
  const places = first === "aside" ? [...aside, ...stacked] : [...stacked, ...aside];
  const fits = ([x, y]) => x >= GAP && y >= GAP && x + width + GAP <= windowWidth && y + height + GAP <= windowHeight;
  return places.find(fits) ?? [across, keep(bottom + GAP, windowHeight - height)];
}
