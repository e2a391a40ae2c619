// What the page has of its server: one slow connection that tells what there is, and the ways to ask for more.

import { api, askRoles, checkAccess, readToken, saveToken, soon } from "./access.js";
import { Connection } from "./connection.js";
import { control } from "./control.js";
import { socketUrl } from "./protocol.js";
import { SourceBook } from "./sources.js";

const SOURCES_EVERY = 3000; // milliseconds, of the server's own figures
const SILENT = 2; // plain requests without an answer, after which an open connection is taken for dead

/**
 * Dispatches "state" (`state`, `detail`: see Connection), "sources" when the book or anything else that the server says
 * of itself has changed, "event" with `event.detail`, an event of the server's (somebody arrived, …), and "silent" when
 * nothing comes back though no connection was closed: the network has changed, or the server stands still.
 */
export class ServerLink extends EventTarget {
  #feed;
  #asking = false;
  #unanswered = 0;
  #told = 0; // counts what was learnt of single sources: figures asked for before that are older

  constructor() {
    super();
    readToken();
    this.book = new SourceBook();
    this.recognition = { on: false, reason: "" };
    this.roles = null; // of "view", "push" and "control"; null while unknown
    this.version = "";
    this.detail = undefined;
    this.starting = false; // the server answers, and has no models yet
    this.lost = false; // from the moment that the server is gone until it is back
    this.checkAccess = checkAccess;
    this.#feed = new Connection({
      url: () => this.address("/ws/faces", { events: "only" }),
      checkAccess: () => this.#checkAccess(),
      onText: (message) => this.#heard(message),
      onState: (state, detail) => this.#became(state, detail),
    });
    setInterval(() => this.#poll(), SOURCES_EVERY);
  }

  get state() {
    return this.#feed.state;
  }

  /** Whether sources and people may be changed with what we have; the server has the last word. */
  get mayControl() {
    return this.roles?.includes("control") ?? true;
  }

  get mayPush() {
    return this.roles?.includes("push") ?? true;
  }

  address(path, options = {}) {
    return socketUrl(location.origin, path, options);
  }

  /** One JSON-RPC request; rejects with the server's words. */
  request(method, params = {}) {
    return control(this.address.bind(this), method, params);
  }

  /** One plain request, as `fetch`, with the token. */
  get(path, options) {
    return api(path, options);
  }

  /** What a path says as JSON; throws an error with the server's words and its `status`. */
  async json(path) {
    const reply = await api(path);
    const body = await reply.json().catch(() => ({}));
    if (reply.ok) return body;
    throw Object.assign(new Error(body.error?.message ?? `the server answered ${reply.status}`), { status: reply.status });
  }

  /** Everybody who has a name: [{name, looks}]. */
  people() {
    return this.request("people.list");
  }

  open() {
    this.#feed.open();
  }

  retry() {
    this.#feed.retry();
  }

  close() {
    this.#feed.close();
  }

  /** Whether a token has just been put into the address; it is ours then, and the address has it no longer. */
  takeToken() {
    const had = location.hash.includes("token=");
    readToken();
    return had && !location.hash;
  }

  useToken(token) {
    saveToken(token);
    this.#feed.open();
  }

  /** Ask for the sources' figures, unless nobody looks. */
  async refresh() {
    if (document.hidden || this.state !== "open") return;
    const told = this.#told;
    try {
      const reply = await api("/api/sources", soon());
      this.#unanswered = 0;
      if (!reply.ok) return;
      const sources = await reply.json();
      if (told !== this.#told) return;
      this.book.replace(sources);
      this.dispatchEvent(new Event("sources"));
    } catch {
      this.#unanswered += 1;
      if (this.#unanswered >= SILENT && this.state === "open") this.#silent();
    }
  }

  /** Never two at a time, however slow the network is. */
  async #poll() {
    if (this.#asking) return;
    this.#asking = true;
    await this.refresh();
    this.#asking = false;
  }

  /** A connection that nobody closed may be dead all the same, and its browser learns it after many minutes. */
  #silent() {
    this.#unanswered = 0;
    this.#feed.restart();
    this.dispatchEvent(new Event("silent"));
  }

  /** What the server has just said of one source. */
  learn(source) {
    this.#told += 1;
    this.book.update(source);
    this.dispatchEvent(new Event("sources"));
  }

  #heard(message) {
    if (message.type === "event") this.dispatchEvent(new CustomEvent("event", { detail: message }));
    if (message.type === "hello") this.#greeted(message);
    else if (message.type === "status") this.#changed(message);
    else return;
    this.dispatchEvent(new Event("sources"));
  }

  #changed(status) {
    this.#told += 1;
    this.book.update(status);
  }

  #greeted(hello) {
    this.#told += 1;
    this.book.replace(hello.sources);
    this.recognition = hello.recognition ?? { on: false, reason: "" };
    this.version = hello.version ?? "";
    this.#askRoles();
  }

  async #askRoles() {
    this.roles = await askRoles();
    this.dispatchEvent(new Event("sources"));
  }

  async #checkAccess() {
    const access = await checkAccess();
    this.starting = access === "starting";
    return access;
  }

  #became(state, detail) {
    this.detail = detail;
    if (state === "waiting") this.lost = true;
    else if (state !== "connecting") this.lost = false;
    this.dispatchEvent(new Event("state"));
  }
}
