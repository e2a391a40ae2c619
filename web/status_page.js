// How the server is, and each of its cameras in numbers.

import { soon } from "./access.js";
import { fact } from "./event_dialog.js";
import { compact, duration, sentence, setText } from "./format.js";
import { describeState } from "./protocol.js";
import { routeTo } from "./router.js";
import { showState } from "./sources.js";

const EVERY = 3000; // milliseconds
const COLUMNS = ["Camera", "State", "Rate", "Latency", "Processed", "Dropped", "Damaged", "Reconnects", "Last picture"];
const ROLES = { view: "watch", push: "send pictures", control: "change everything" };

const $ = (id) => document.getElementById(id);

export class StatusPage {
  #link;
  #rows = new Map(); // a source's name → its row
  #health = null; // the last answer, or the error instead
  #timer = 0;
  #asking = false;
  title = "Status";

  constructor({ link }) {
    this.#link = link;
    this.active = false;
    $("status-head").replaceChildren(...COLUMNS.map((name) => cell("th", "columnheader", name, { scope: "col" })));
  }

  show() {
    this.active = true;
    this.#timer ||= setInterval(() => this.#ask(), EVERY);
    this.#ask();
    this.refresh();
  }

  hide() {
    this.active = false;
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#rows.clear();
    $("status-rows").replaceChildren();
  }

  retry() {
    if (this.active) this.#ask();
  }

  refresh() {
    if (!this.active) return;
    this.#showFacts();
    const sources = this.#link.book.all;
    $("status-empty").hidden = sources.length > 0 || this.#link.state !== "open";
    document.querySelector(".table-room").hidden = !sources.length;
    const names = new Set(sources.map(({ name }) => name));
    for (const [name, row] of this.#rows) {
      if (names.has(name)) continue;
      row.remove();
      this.#rows.delete(name);
    }
    for (const source of sources) this.#showSource(source);
  }

  async #ask() {
    if (document.hidden || this.#asking) return;
    this.#asking = true;
    try {
      const reply = await this.#link.get("/health", soon());
      this.#health = await reply.json();
    } catch {
      this.#health = null;
    } finally {
      this.#asking = false;
    }
    this.refresh();
  }

  #showFacts() {
    const { version, roles, recognition, state } = this.#link;
    const words = { ok: "All is well", degraded: "Something is wrong", failing: "It doesn't work", starting: "Starting" };
    const { status, reason } = this.#health ?? {};
    const alive = state === "open";
    const facts = {
      Health: this.#health && alive ? (words[status] ?? status) : "No answer",
      Version: version || "–",
      "What you may do": alive && roles ? describeRoles(roles) : "–",
      Recognition: !alive ? "–" : recognition.on ? `On, with ${recognition.model ?? "a model"}` : sentence(recognition.reason) || "Off",
    };
    const elements = Object.entries(facts).map(([name, text]) => fact(name, text));
    const tones = { ok: "good", degraded: "bad", failing: "bad", starting: "wait" };
    elements[0].dataset.tone = alive ? (tones[status] ?? "off") : "bad";
    if (alive && reason) elements[0].append(described(reason));
    const shown = $("status-facts");
    if (elements.map(({ textContent }) => textContent).join("\n") === [...shown.children].map(({ textContent }) => textContent).join("\n")) return;
    shown.replaceChildren(...elements);
  }

  #showSource(source) {
    const row = this.#rows.get(source.name) ?? this.#newRow(source.name);
    const [, state, ...figures] = row.children;
    const alive = this.#link.state === "open";
    showState(state.querySelector(".state"), alive ? source.state : "unknown");
    row.dataset.tone = describeState(source.state).tone;
    setText(state.querySelector(".status-reason"), [source.reason, describeSince(source, Date.now() / 1000)].filter(Boolean).join(" · "));
    // What max_rate leaves out is asked for.
    const dropped = source.dropped - source.limited, wanted = source.captured - source.limited;
    const share = wanted ? ` (${((100 * dropped) / wanted).toFixed(1)} %)` : "";
    const values = [
      source.rate ? `${source.rate.toFixed(1)} fps` : "–",
      source.latency_ms === null ? "–" : `${Math.round(source.latency_ms)} ms`,
      compact(source.processed),
      compact(dropped) + (dropped ? share : ""),
      compact(source.damaged),
      String(source.reconnects),
      source.last_frame_age === null ? "–" : source.last_frame_age < 1 ? "now" : `${duration(source.last_frame_age)} ago`,
    ];
    figures.forEach((element, index) => setText(element.lastElementChild, values[index]));
  }

  #newRow(name) {
    const row = document.createElement("tr");
    row.setAttribute("role", "row");
    const head = cell("th", "rowheader", "", { scope: "row" });
    const link = document.createElement("a");
    link.href = routeTo("camera", name);
    link.textContent = name;
    head.append(link);
    const state = cell("td", "cell", "");
    const shown = $("source-template").content.querySelector(".state").cloneNode(true);
    const reason = document.createElement("span");
    reason.className = "status-reason";
    state.append(shown, reason);
    row.append(head, state, ...COLUMNS.slice(2).map(figure));
    this.#rows.set(name, row);
    $("status-rows").append(row);
    return row;
  }
}

/** How long a source has been as it is, where the server says since when. */
export function describeSince({ since }, now) {
  return since ? `for ${duration(now - since)}` : "";
}

function described(reason) {
  const element = document.createElement("dd");
  element.className = "fact-reason";
  element.textContent = reason;
  return element;
}

function describeRoles(roles) {
  const words = Object.keys(ROLES).filter((role) => roles.includes(role)).map((role) => ROLES[role]);
  return sentence(words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : words.join(""));
}

function cell(tag, role, text, attributes = {}) {
  const element = document.createElement(tag);
  element.setAttribute("role", role);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** A number with its column's name, which is shown where the table has no head: on a phone. */
function figure(column) {
  const element = cell("td", "cell", "");
  const name = document.createElement("span");
  name.className = "figure-name";
  name.textContent = column;
  name.setAttribute("aria-hidden", "true");
  element.append(name, document.createElement("span"));
  return element;
}
