// The token, when the server wants one: kept for this tab's session only, and never in an address.

const KEY = "facestream.token";
const ANSWER_WITHIN = 10_000; // milliseconds

/** The token of `#token=…` (which then leaves the address bar and the history), or the one typed earlier. */
export function readToken() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get("token");
  if (given) {
    saveToken(given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY);
}

export function saveToken(token) {
  sessionStorage.setItem(KEY, token);
}

export function hasToken() {
  return sessionStorage.getItem(KEY) !== null;
}

/** A request to the server over HTTP, with the token. */
export function api(path, options = {}) {
  const token = sessionStorage.getItem(KEY);
  return fetch(path, { ...options, headers: token ? { Authorization: `Bearer ${token}` } : {}, cache: "no-store" });
}

/** For a request that is asked again later: it fails where nobody answers in good time. */
export function soon() {
  return { signal: AbortSignal.timeout(ANSWER_WITHIN) };
}

/** A websocket to the server. A page can't set its headers, so the token is among the protocols that it offers. */
export function openSocket(address) {
  const token = sessionStorage.getItem(KEY);
  return new WebSocket(address, token ? ["facestream", `facestream.token.${base64url(token)}`] : ["facestream"]);
}

function base64url(text) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** What we may do here: a list of "view", "push" and "control"; null where the server doesn't say. */
export async function askRoles() {
  try {
    const reply = await api("/api/access", soon());
    return reply.ok ? (await reply.json()).roles : null;
  } catch {
    return null;
  }
}

/**
 * Why a websocket wasn't opened, which only a plain request tells: "token" when the server wants one, or a better one;
 * "starting" when it isn't ready; "ok" when it lets us in; "away" when it doesn't answer.
 */
export async function checkAccess() {
  try {
    const { status } = await api("/api/sources", soon());
    if (status === 401 || status === 403) return "token";
    return status === 503 ? "starting" : "ok";
  } catch {
    return "away";
  }
}
