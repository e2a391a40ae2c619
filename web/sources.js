// The sources: what is known of each, and the list that shows them.

import { describeState } from "./protocol.js";

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

export function compact(number) {
  return number < 10000 ? String(number) : `${(number / 1000).toFixed(number < 100000 ? 1 : 0)}k`;
}

/** Keeps a list element in step with rows `{key, name, hint, state, note, removable}`; touches only what changed. */
export class SourceListView {
  #rows = new Map();

  constructor(list, template, { onSelect, onRemove }) {
    this.list = list;
    this.template = template;
    this.onSelect = onSelect;
    this.onRemove = onRemove;
  }

  render(rows, selected) {
    const keys = new Set(rows.map(({ key }) => key));
    for (const [key, element] of this.#rows) {
      if (keys.has(key)) continue;
      element.remove();
      this.#rows.delete(key);
    }
    rows.forEach((row, index) => {
      const element = this.#rows.get(row.key) ?? this.#create(row);
      if (this.list.children[index] !== element) this.list.insertBefore(element, this.list.children[index] ?? null);
      this.#fill(element, row, row.key === selected);
    });
  }

  #create({ key, name }) {
    const element = this.template.content.firstElementChild.cloneNode(true);
    element.querySelector(".source-open").addEventListener("click", () => this.onSelect(key));
    element.querySelector(".source-remove").addEventListener("click", () => this.onRemove(key));
    element.querySelector(".source-remove").setAttribute("aria-label", `Remove ${name}`);
    this.#rows.set(key, element);
    return element;
  }

  #fill(element, { name, hint, state, note, removable }, selected) {
    const { word, tone } = describeState(state);
    setText(element.querySelector(".source-name"), name);
    setText(element.querySelector(".source-note"), note);
    setText(element.querySelector(".state-word"), state ? word : "");
    element.querySelector(".state").hidden = !state;
    element.querySelector(".state").dataset.tone = tone;
    element.querySelector(".source-remove").hidden = !(removable && selected);
    const open = element.querySelector(".source-open");
    open.title = hint ?? "";
    if (selected) open.setAttribute("aria-current", "true");
    else open.removeAttribute("aria-current");
  }
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
