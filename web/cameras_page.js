// All cameras at once, each with a small living picture: only those in view are asked for.

import { shownSources } from "./camera_page.js";
import { duration, plural, setText } from "./format.js";
import { describeState } from "./protocol.js";
import { routeTo } from "./router.js";
import { KeyedList, describeNumbers, isSilent, showState } from "./sources.js";
import { Viewer, seconds } from "./viewer.js";

const NUMBERS_EVERY = 1000; // milliseconds
const PICTURES = 24; // a second, of all cameras in view together
const MOST = 8; // a second, of one
const WIDEST = 480; // pixels

const $ = (id) => document.getElementById(id);

export class CamerasPage {
  #link;
  #camera;
  #onEdit;
  #inView = new Set(); // names
  #timer = 0;
  #list;
  #observer;
  title = "Cameras";

  constructor({ settings, link, camera, onEdit }) {
    this.#link = link;
    this.#camera = camera;
    this.#onEdit = onEdit;
    this.active = false;
    this.viewer = new Viewer({ link, settings, fields: "track,box,identity", most: share });
    this.#list = new KeyedList($("grid"), $("card-template"), {
      made: (card, row) => this.#made(card, row),
      gone: (card, name) => this.#gone(card, name),
      fill: (card, row) => this.#fill(card, row),
    });
    // Those that scroll into view next are asked for a little before they are there.
    this.#observer = new IntersectionObserver((entries) => this.#scrolled(entries), { rootMargin: "120px 0px" });
  }

  show() {
    this.active = true;
    this.#timer ||= setInterval(() => this.refresh(), NUMBERS_EVERY);
    this.refresh();
  }

  /** The pictures go: a page that nobody looks at keeps none. */
  hide() {
    this.active = false;
    clearInterval(this.#timer);
    this.#timer = 0;
    this.viewer.watch([]);
    this.#list.render([]);
  }

  retry() {
    this.viewer.retry();
  }

  refresh() {
    if (!this.active) return;
    const sources = shownSources(this.#link.book, this.#camera);
    const live = sources.filter(({ state }) => state === "live").length;
    const alive = this.#link.state === "open";
    setText($("cameras-count"), sources.length ? `${plural(sources.length, "camera")}${alive ? `, ${live} live` : ""}` : "");
    $("empty").hidden = sources.length > 0 || !alive;
    $("grid").hidden = !sources.length;
    $("grid").dataset.count = Math.min(sources.length, 5);
    this.#list.render(sources.map((source) => ({ key: source.name, source })));
    this.#watch();
  }

  #made(card, { key }) {
    card.dataset.name = key;
    const open = card.querySelector(".card-open");
    open.setAttribute("href", routeTo("camera", key));
    setText(open, key);
    const edit = card.querySelector(".card-edit");
    edit.setAttribute("aria-label", `Edit ${key}`);
    edit.title = `Edit ${key}`;
    edit.addEventListener("click", () => this.#onEdit(key));
    this.viewer.put(key, card.querySelector(".card-picture"));
    this.#observer.observe(card);
  }

  #gone(card, name) {
    this.#observer.unobserve(card);
    this.#inView.delete(name);
    this.viewer.drop(name);
  }

  #fill(card, { source }) {
    const alive = this.#link.state === "open";
    showState(card.querySelector(".state"), alive ? source.state : "unknown");
    setText(card.querySelector(".card-note"), describeNumbers({ ...source, latency: source.latency_ms, dropped: 0 }));
    const faces = this.viewer.tiles.get(source.name)?.stage.message?.faces.length;
    setText(card.querySelector(".card-faces"), alive && faces !== undefined && source.state === "live" ? plural(faces, "face") : "");
    card.querySelector(".card-edit").hidden = !this.#link.mayControl;
    const picture = card.querySelector(".card-picture");
    const silence = this.viewer.silence(source.name, seconds());
    const silent = alive && isSilent(source, silence);
    picture.dataset.tone = silent ? "bad" : describeState(source.state).tone;
    const words = { degraded: "Reconnecting…", stopped: "Stopped" };
    setText(picture.querySelector(".tile-wait"), silent ? `No picture for ${duration(silence)}` : (words[source.state] ?? "Waiting for pictures…"));
  }

  #scrolled(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting && target.isConnected) this.#inView.add(target.dataset.name);
      else this.#inView.delete(target.dataset.name);
    }
    this.#watch();
  }

  #watch() {
    const wanted = document.hidden || !this.active ? [] : [...this.#list.elements.keys()].filter((name) => this.#inView.has(name) && this.#link.book.get(name)?.state !== "stopped");
    this.viewer.watch(wanted);
  }
}

/** What each of `count` cameras in view may cost. */
export function share(count) {
  return { fps: Math.max(1, Math.min(MOST, Math.floor(PICTURES / Math.max(count, 1)))), width: WIDEST, density: 1.5 };
}
