// Which page an address means: all of it is in the part after `#`, so that the server needs one page only. Pure.

const PAGES = ["cameras", "camera", "own", "events", "people", "status"];

/**
 * `#/camera/door?x=1` → `{page: "camera", name: "door", query}`. `#/` is the cameras; a part that isn't an address of
 * ours, such as none at all, has the page null: whoever asks chooses one.
 */
export function parseRoute(hash) {
  const [path, query = ""] = hash.split("?", 2);
  const parts = path.split("/");
  if (parts.shift() !== "#" || parts.length > 2) return { page: null, name: null, query: new URLSearchParams() };
  const page = parts[0] || "cameras";
  const known = PAGES.includes(page) && (page === "camera") === Boolean(parts[1]);
  return { page: known ? page : "cameras", name: known && parts[1] ? decoded(parts[1]) : null, query: new URLSearchParams(query) };
}

/** The other way round. Empty values of `query` are left out. */
export function routeTo(page, name = null, query = {}) {
  const path = page === "cameras" ? "#/" : `#/${page}${name === null ? "" : `/${encodeURIComponent(name)}`}`;
  const given = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  return given.size ? `${path}?${given}` : path;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
