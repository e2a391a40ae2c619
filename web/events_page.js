// The list of events: who was seen where and when, newest first, with live ones arriving on top.

import { EventList, eventsQuery, kindWord, readFilter, titleOf } from "./events.js";
import { clock, day, duration, isolated, plural, sentence, setText, setWords } from "./format.js";
import { routeTo } from "./router.js";
import { KeyedList } from "./sources.js";

const PAGE = 50;
const GATHERED = 100; // milliseconds in which live events become one change of the page
const FIELDS = ["source", "name", "kind", "span", "since", "until"];

const $ = (id) => document.getElementById(id);
const now = () => Date.now() / 1000;

export class EventsPage {
  #link;
  #portraits;
  #dialog;
  #form = $("events-filters");
  #filter = readFilter(new URLSearchParams());
  #list = new EventList(2 * PAGE);
  #days = new Map(); // its heading's text → {section, list}
  #pages = [null]; // the `before` of each page up to the one shown
  #next = null; // the `before` of the page after
  #missed = 0; // live events that aren't on the page that is shown
  #scheduled = 0;
  #asked = 0; // counts what was asked for, so that a late answer is known as such
  title = "Events";

  constructor({ link, portraits, dialog }) {
    this.#link = link;
    this.#portraits = portraits;
    this.#dialog = dialog;
    this.active = false;
    link.addEventListener("event", ({ detail }) => this.#arrived(detail));
    dialog.onRemoved = (id) => this.#removed(id);
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("change", () => this.#chosen());
    this.#form.addEventListener("reset", () => { location.hash = routeTo("events"); });
    $("events-older").addEventListener("click", () => this.#turn([...this.#pages, this.#next]));
    $("events-newer").addEventListener("click", () => this.#turn(this.#pages.slice(0, -1)));
    $("events-fresh").addEventListener("click", () => this.#turn([null]));
  }

  show({ query }) {
    this.active = true;
    this.#filter = readFilter(query);
    this.#fillForm();
    this.#offerPeople();
    this.#turn([null]);
  }

  hide() {
    this.active = false;
    this.#asked += 1;
    this.#list.replace([]);
    this.#render();
  }

  /** The server is back, or says something new of itself. */
  refresh() {
    if (this.active) this.#offerSources();
  }

  retry() {
    if (this.active) this.#turn(this.#pages);
  }

  // --- filters

  #chosen() {
    const values = Object.fromEntries(FIELDS.map((name) => [name, this.#form.elements[name].value.trim()]));
    if (values.span !== "between") values.since = values.until = "";
    this.#form.querySelector(".between").hidden = values.span !== "between";
    history.replaceState(null, "", routeTo("events", null, values));
    this.#filter = values;
    this.#turn([null]);
  }

  #fillForm() {
    this.#offerSources();
    for (const name of FIELDS) this.#form.elements[name].value = this.#filter[name];
    this.#form.querySelector(".between").hidden = this.#filter.span !== "between";
  }

  #offerSources() {
    const select = this.#form.elements.source;
    const names = [...new Set([...this.#link.book.all.map(({ name }) => name), this.#filter.source])].filter(Boolean);
    if ([...select.options].slice(1).map(({ value }) => value).join("\n") === names.join("\n")) return;
    const chosen = select.value;
    select.replaceChildren(select.options[0], ...names.map((name) => new Option(name)));
    select.value = chosen;
  }

  async #offerPeople() {
    if (!this.#link.recognition.on) return;
    const people = await this.#link.people().catch(() => []);
    $("events-people").replaceChildren(...people.map(({ name }) => new Option(name)));
  }

  // --- what is shown

  async #turn(pages) {
    const asked = ++this.#asked;
    const query = eventsQuery(this.#filter, { now: now(), limit: PAGE, before: pages.at(-1) });
    let page;
    try {
      page = await this.#link.json(`/api/events?${query}`);
    } catch (error) {
      if (asked === this.#asked) this.#complain(error);
      return;
    }
    if (asked !== this.#asked) return;
    const turned = pages.length !== this.#pages.length;
    [this.#pages, this.#next, this.#missed] = [pages, page.next ?? null, 0];
    this.#list.replace(page.events);
    $("events-count").setAttribute("aria-live", "polite");
    this.#render();
    if (turned) $("events-title").scrollIntoView({ block: "end" });
  }

  #arrived(event) {
    if (!this.active) return;
    if (this.#pages.length > 1 && !this.#list.events.some(({ id }) => id === event.id)) this.#missed += event.kind === "arrived";
    else if (!this.#list.take(event, this.#filter, now())) return;
    // The page after this one begins where this one ends, which live events have moved.
    if (this.#list.full) this.#next = this.#list.events.at(-1).id;
    this.#renderSoon();
  }

  /** Many events at once are one change of the page, and nothing that is read out. */
  #renderSoon() {
    $("events-count").setAttribute("aria-live", "off");
    this.#scheduled ||= setTimeout(() => this.#render(), GATHERED);
  }

  #removed(id) {
    this.#list.remove(id);
    this.#render();
  }

  #complain(error) {
    const off = error.status === 404;
    this.#list.replace([]);
    this.#render();
    $("events-empty").hidden = !off;
    $("events-wrong").hidden = off;
    this.#form.hidden = off; // there is nothing to choose from
    if (off) this.#showEmpty("This server keeps no events", sentence(error.message));
    else setText($("events-wrong"), sentence(error.message));
  }

  #showEmpty(title, text) {
    setText($("events-empty").querySelector("h2"), title);
    setWords($("events-empty").querySelector("p"), text);
  }

  #render() {
    clearTimeout(this.#scheduled);
    this.#scheduled = 0;
    const { events } = this.#list;
    $("events-wrong").hidden = true;
    this.#form.hidden = false;
    $("events-empty").hidden = events.length > 0;
    const filtered = Object.values(this.#filter).some(Boolean);
    this.#form.querySelector("[type=reset]").hidden = !filtered;
    this.#showEmpty(filtered ? "Nothing like that" : "Nothing has happened yet", filtered ? "Other filters may find more." : "Whoever a camera sees appears here.");
    $("events-newer").hidden = this.#pages.length < 2;
    $("events-older").hidden = this.#next === null;
    $("events-fresh").hidden = !this.#missed;
    setText($("events-fresh"), `Show ${plural(this.#missed, "new event")}`);
    setText($("events-count"), events.length ? `${plural(events.length, "event")}${this.#next === null && this.#pages.length < 2 ? "" : ` on page ${this.#pages.length}`}` : "");
    this.#renderDays(events);
  }

  #renderDays(events) {
    const days = Map.groupBy(events, ({ started_at }) => day(started_at, now()));
    for (const [name, { section, list }] of this.#days) {
      if (days.has(name)) continue;
      list.render([]);
      section.remove();
      this.#days.delete(name);
    }
    let place = null;
    for (const [name, those] of days) {
      const { section, list } = this.#days.get(name) ?? this.#newDay(name);
      const wanted = place ? place.nextSibling : $("events-list").firstChild;
      if (wanted !== section) $("events-list").insertBefore(section, wanted);
      list.render(those.map((event) => ({ key: event.id, event })));
      place = section;
    }
  }

  #newDay(name) {
    const section = document.createElement("section");
    const heading = document.createElement("h2");
    heading.textContent = name;
    const ul = document.createElement("ul");
    ul.className = "events";
    section.append(heading, ul);
    const list = new KeyedList(ul, $("event-template"), {
      made: (element, { key }) => element.querySelector(".event-open").addEventListener("click", () => this.#open(key)),
      gone: (element) => this.#portraits.forget(element.querySelector("img")),
      fill: (element, { event }) => this.#fill(element, event),
    });
    this.#days.set(name, { section, list });
    return { section, list };
  }

  #fill(element, event) {
    element.dataset.kind = event.kind;
    setText(element.querySelector(".event-open"), titleOf(event));
    setText(element.querySelector(".event-kind"), kindWord(event));
    const stay = event.ended_at === null ? "" : ` · for ${duration(event.ended_at - event.started_at)}`;
    setText(element.querySelector(".event-note"), `${isolated(event.source)} · ${clock(event.started_at)}${stay}`);
    element.querySelector(".event-clip").hidden = !event.clip;
    element.querySelector(".event-open").setAttribute("aria-label", `${titleOf(event)}, ${kindWord(event).toLowerCase()}, ${event.source}, ${clock(event.started_at)}`);
    this.#portraits.show(element.querySelector("img"), event.picture && `${event.picture}#${event.kind}`);
  }

  #open(id) {
    const event = this.#list.events.find((one) => one.id === id);
    if (event) this.#dialog.open(event);
  }
}
