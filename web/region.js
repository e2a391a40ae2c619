// The part of a camera's picture that is looked at. Shares of the picture, 0 to 1: [left, top, right, bottom]. Pure.

export const WHOLE = [0, 0, 1, 1];
export const LEAST = 0.02; // the smallest side that can be drawn
const GRASP = 14; // CSS pixels around an edge that grasp it

/** What a pointer at (x, y) of a canvas of `size` grasps of a region: {left, top, right, bottom} of -1, 0, 1; "inside"; or null. */
export function graspAt(region, [x, y], [width, height], reach = GRASP) {
  const [left, top, right, bottom] = [region[0] * width, region[1] * height, region[2] * width, region[3] * height];
  if (x < left - reach || x > right + reach || y < top - reach || y > bottom + reach) return null;
  const edges = [Math.abs(x - left) <= reach, Math.abs(y - top) <= reach, Math.abs(x - right) <= reach, Math.abs(y - bottom) <= reach];
  if (edges[0] && edges[2]) edges[x < (left + right) / 2 ? 2 : 0] = false;
  if (edges[1] && edges[3]) edges[y < (top + bottom) / 2 ? 3 : 1] = false;
  return edges.some(Boolean) ? edges : [true, true, true, true];
}

/** The region after what was grasped of it moved by (dx, dy); it keeps inside the picture, and some size. */
export function moved(region, edges, dx, dy) {
  const whole = edges.every(Boolean);
  if (whole) {
    const x = clamp(dx, -region[0], 1 - region[2]);
    const y = clamp(dy, -region[1], 1 - region[3]);
    return [region[0] + x, region[1] + y, region[2] + x, region[3] + y];
  }
  const [left, top, right, bottom] = region.map((value, index) => (edges[index] ? value + (index % 2 ? dy : dx) : value));
  return [
    edges[0] ? clamp(left, 0, right - LEAST) : left,
    edges[1] ? clamp(top, 0, bottom - LEAST) : top,
    edges[2] ? clamp(right, left + LEAST, 1) : right,
    edges[3] ? clamp(bottom, top + LEAST, 1) : bottom,
  ];
}

/** The region between two corners, in any order. */
export function between([x0, y0], [x1, y1]) {
  return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)].map((value) => clamp(value, 0, 1));
}

export function isWhole(region) {
  return region.every((value, index) => Math.abs(value - WHOLE[index]) < 0.0005);
}

/** In per cent with one decimal, as in the fields. */
export function percents(region) {
  return region.map((share) => String(Math.round(share * 1000) / 10));
}

function clamp(value, least, most) {
  return Math.min(Math.max(value, least), most);
}
