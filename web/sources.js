// The sources: what is known of each, and the list that shows them.

import { compact, setText } from "./format.js";
import { describeState } from "./protocol.js";

const PATIENCE = 4; // seconds without a picture

/** What the server said about its sources, newest word first. Knows nothing of the page. */
export class SourceBook {
  #sources = new Map();

  /** The full list, from `hello` or `/api/sources`. */
  replace(list) {
    const before = this.#sources;
    this.#sources = new Map(list.map((source) => [source.name, { ...before.get(source.name), ...source }]));
  }

  /** One `status` message. */
  update({ type: _, removed, ...source }) {
    if (removed) this.#sources.delete(source.name);
    else this.#sources.set(source.name, { ...this.#sources.get(source.name), ...source });
  }

  get(name) {
    return this.#sources.get(name);
  }

  get all() {
    return [...this.#sources.values()];
  }
}

/** Whether a source that should be seen has sent no picture for longer than its rate explains. */
export function isSilent({ state, rate, options }, silence) {
  const expected = Math.min(rate || 1, options?.max_rate ?? Infinity);
  return state === "live" && silence > PATIENCE + 3 / expected;
}

/** A browser's camera, or another program's, that sends nothing now. */
export function isIdle({ kind, state }) {
  return kind === "push" && state !== "live";
}

/** A camera that some browser lends, by the name that we give those. */
export function isBrowserName(name) {
  return /^browser-\w{4}$/.test(name);
}

/** One line of numbers about a source, leaving out what isn't known. */
export function describeNumbers({ size, rate, latency, dropped, reason, state }) {
  if (reason && state !== "live") return reason;
  const parts = [];
  if (size) parts.push(`${size[0]}×${size[1]}`);
  if (latency !== null && latency !== undefined) parts.push(`${Math.round(latency)} ms`);
  if (rate) parts.push(`${rate.toFixed(1)} fps`);
  if (dropped) parts.push(`${compact(dropped)} dropped`);
  return parts.join(" · ") || "no pictures yet";
}

/** Write a state into an element with a dot and a word. */
export function showState(element, state) {
  const { word, tone } = describeState(state);
  element.dataset.tone = tone;
  setText(element.querySelector(".state-word"), word);
}

/**
 * Keeps a list element in step with `rows` that have a `key`: elements are made, moved and removed as needed, and
 * `fill(element, row)` writes into them. Returns the elements by key.
 */
export class KeyedList {
  #elements = new Map();

  constructor(list, template, { made = () => {}, gone = () => {}, fill }) {
    this.list = list;
    this.template = template;
    this.made = made;
    this.gone = gone;
    this.fill = fill;
  }

  get elements() {
    return this.#elements;
  }

  render(rows) {
    const keys = new Set(rows.map(({ key }) => key));
    for (const [key, element] of this.#elements) if (!keys.has(key)) this.#drop(key, element);
    rows.forEach((row, index) => {
      const element = this.#elements.get(row.key) ?? this.#create(row);
      if (this.list.children[index] !== element) this.list.insertBefore(element, this.list.children[index] ?? null);
      this.fill(element, row);
    });
  }

  #create(row) {
    const element = this.template.content.firstElementChild.cloneNode(true);
    this.#elements.set(row.key, element);
    this.made(element, row);
    return element;
  }

  #drop(key, element) {
    this.#elements.delete(key);
    this.gone(element, key);
    element.remove();
  }
}

/** The sources as links, beside a picture: rows `{key, name, href, hint, state, note, selected}`. */
export class SourceListView {
  #list;

  constructor(list, template) {
    this.#list = new KeyedList(list, template, { fill: (element, row) => this.#fill(element, row) });
  }

  render(rows) {
    this.#list.render(rows);
  }

  #fill(element, { name, href, hint, state, note, selected }) {
    setText(element.querySelector(".source-name"), name);
    setText(element.querySelector(".source-note"), note);
    showState(element.querySelector(".state"), state);
    const open = element.querySelector(".source-open");
    if (open.getAttribute("href") !== href) open.setAttribute("href", href);
    open.title = hint ?? "";
    if (selected) open.setAttribute("aria-current", "true");
    else open.removeAttribute("aria-current");
  }
}
