// A websocket to the server that comes back by itself.

import { openSocket } from "./access.js";
import { parseMessage, retryDelay, wantsToken } from "./protocol.js";

const HELLO_WITHIN = 15_000; // milliseconds; a browser itself would wait for minutes
const STEADY = 10_000; // milliseconds that a connection must have held for the next failure to count as the first
const FINAL = [1002, 1003, 1007, 1008, 1009]; // close codes after which the same again would fare no better

/**
 * Calls `onText(message)`, `onBinary(buffer)` and `onState(state, detail)`, the state being one of
 * "connecting", "open" (the server said hello), "waiting" (detail: seconds until the next try), "refused" (detail: why;
 * nothing more is tried until `retry()`), "token" (the server wants one) and "closed". `mayRetry(code)` may say that an
 * error is worth another try.
 */
export class Connection {
  #handlers;
  #socket = null;
  #timer = 0;
  #attempt = 0;
  #failure = null;
  #openedAt = null;

  constructor(handlers) {
    this.#handlers = handlers; // {url, checkAccess, onText, onBinary, onState, mayRetry}
    this.state = "closed";
  }

  open() {
    this.#drop();
    this.#connect();
  }

  close() {
    this.#drop();
    this.#become("closed");
  }

  /** Hang up and connect again after a moment. */
  restart() {
    this.#drop();
    this.#wait();
  }

  /** Try again at once, as if nothing had failed before. */
  retry() {
    if (this.state === "open" || this.state === "closed") return;
    this.#attempt = 0;
    this.open();
  }

  send(data) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(data);
    return true;
  }

  #connect() {
    this.#failure = null;
    this.#become("connecting");
    const socket = openSocket(this.#handlers.url());
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#lost(event);
    this.#socket = socket;
    this.#timer = setTimeout(() => this.restart(), HELLO_WITHIN);
  }

  #drop() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  #receive(data) {
    if (data instanceof ArrayBuffer) {
      this.#handlers.onBinary?.(data);
      return;
    }
    const message = parseMessage(data);
    if (message.type === "hello") {
      clearTimeout(this.#timer);
      this.#openedAt = performance.now();
      this.#become("open");
    }
    if (message.type === "error") this.#failure = message;
    this.#handlers.onText?.(message);
  }

  async #lost(event) {
    clearTimeout(this.#timer);
    const wasOpen = this.state === "open";
    const socket = this.#socket;
    const code = this.#failure?.code ?? "";
    const reason = this.#failure?.message ?? event.reason;
    // A refused upgrade reaches a page as a bare failure: only a plain request tells why.
    const access = wasOpen || this.#failure ? "unknown" : await this.#handlers.checkAccess();
    if (this.#socket !== socket) return;
    this.#socket = null;
    if (access === "token" || wantsToken(code, reason)) {
      this.#become("token", reason);
    } else if (FINAL.includes(event.code) && !this.#handlers.mayRetry?.(code)) {
      this.#become("refused", reason || "the server refused the connection");
    } else {
      this.#wait();
    }
  }

  #wait() {
    if (this.#openedAt !== null && performance.now() - this.#openedAt >= STEADY) this.#attempt = 0;
    this.#openedAt = null;
    const seconds = retryDelay(this.#attempt++, Math.random());
    this.#become("waiting", seconds);
    this.#timer = setTimeout(() => this.#connect(), seconds * 1000);
  }

  #become(state, detail) {
    if (state === this.state && detail === undefined) return;
    this.state = state;
    this.#handlers.onState?.(state, detail);
  }
}
