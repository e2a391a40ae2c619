// Protocol 1 as pure functions: addresses, messages, retry times. No DOM, no sockets.

const WIDTHS = [320, 480, 640, 960, 1280, 1920];
const FIRST_RETRY = 0.5; // seconds
const LAST_RETRY = 10;

/** A websocket address on the page's own host. `options` values may be arrays (repeated) or null (left out). */
export function socketUrl(origin, path, options = {}) {
  const url = new URL(path, origin.replace(/^http/, "ws"));
  for (const [key, value] of Object.entries(options)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") url.searchParams.append(key, one);
    }
  }
  return url.href;
}

/** A picture message → `{message, jpeg}`: 4-byte big-endian length, that many bytes of JSON, then a JPEG. */
export function unpackPicture(buffer) {
  const length = new DataView(buffer).getUint32(0);
  if (length > buffer.byteLength - 4) throw new RangeError("the message is shorter than it says");
  const message = parseMessage(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return { message, jpeg: new Uint8Array(buffer, 4 + length) };
}

/** A text message → an object with a `type`; `faces` messages always have a `faces` list afterwards. */
export function parseMessage(text) {
  const message = JSON.parse(text);
  if (typeof message?.type !== "string") throw new TypeError("a message without a type");
  if (message.type === "faces") message.faces ??= [];
  return message;
}

/**
 * The picture width to ask for, from the element's width in CSS pixels and the screen's density. Few distinct values,
 * so that viewers of about the same size share one encoding on the server.
 */
export function pictureWidth(cssWidth, density) {
  const wanted = cssWidth * Math.min(density, 3);
  return WIDTHS.find((width) => width >= wanted * 0.92) ?? WIDTHS.at(-1);
}

/** Seconds to wait before the nth attempt (from 0) to connect again; `random` in 0..1 spreads over half of it those whom one server has lost. */
export function retryDelay(attempt, random) {
  return Math.min(LAST_RETRY, FIRST_RETRY * 2 ** attempt) * (0.5 + random / 2);
}

/** Whether a close or an error means that the server wants a token that we haven't given. */
export function wantsToken(code, text) {
  return /token|unauthori[sz]ed/i.test(`${code} ${text}`);
}

/** What we call a source whose state we know: `{word, tone}`; the tone picks the dot's colour. */
export function describeState(state) {
  const tones = { live: "good", connecting: "wait", degraded: "bad", stopped: "off" };
  return { word: state ?? "unknown", tone: tones[state] ?? "off" };
}
