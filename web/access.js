// The token, when the server wants one: kept for this tab's session only.

const KEY = "facestream.token";

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
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
}

/** A request to the server's JSON interface, with the token. */
export function api(path) {
  const token = sessionStorage.getItem(KEY);
  return fetch(path, { headers: token ? { Authorization: `Bearer ${token}` } : {}, cache: "no-store" });
}

/** "token" when the server wants one, "ok" when it lets us in, "away" when it doesn't answer. */
export async function checkAccess() {
  try {
    const { status } = await api("/api/sources");
    return status === 401 || status === 403 ? "token" : "ok";
  } catch {
    return "away";
  }
}
