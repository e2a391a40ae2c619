// Everybody who has a name: how well they are known, and what can be done about it.

import { plural, sentence, setText, setWords } from "./format.js";
import { describeLooks } from "./people.js";
import { routeTo } from "./router.js";
import { KeyedList } from "./sources.js";

const SEARCHABLE = 8; // people; fewer are seen at a glance

const $ = (id) => document.getElementById(id);

export class PeoplePage {
  #link;
  #naming;
  #merging;
  #portraits;
  #people = [];
  #allowed = true; // as far as is known yet
  #list;
  #faces = new Map(); // name → path of a picture, or null
  #observer = new IntersectionObserver((entries) => this.#scrolled(entries));
  #search = $("known-search").querySelector("input");
  title = "People";

  constructor({ link, naming, merging, portraits }) {
    this.#link = link;
    this.#naming = naming;
    this.#merging = merging;
    this.#portraits = portraits;
    this.active = false;
    this.#list = new KeyedList($("known"), $("known-template"), {
      made: (element, row) => this.#made(element, row),
      gone: (element) => this.#gone(element),
      fill: (element, { person }) => this.#fill(element, person),
    });
    this.#search.addEventListener("input", () => this.#render());
  }

  show() {
    this.active = true;
    this.load();
  }

  hide() {
    this.active = false;
    this.#faces.clear();
    this.#people = [];
    this.#list.render([]);
  }

  retry() {
    this.load();
  }

  /** What we may do is known only after a moment. */
  refresh() {
    if (this.active && !this.#link.mayControl && this.#allowed) this.load();
    this.#allowed = this.#link.mayControl;
  }

  /** Ask for everybody anew. */
  async load() {
    if (!this.active || this.#link.state !== "open") return;
    let problem = "";
    try {
      this.#people = await this.#link.people();
    } catch (error) {
      this.#people = [];
      problem = error.message;
    }
    if (!this.active) return;
    this.#render();
    const { mayControl, recognition } = this.#link;
    if (!mayControl) this.#showEmpty("People aren't for everybody", "Your token doesn't allow to see who is known by name.");
    else if (problem) this.#showEmpty(recognition.on ? "Nobody can be listed" : "Nobody is recognised", sentence(recognition.reason || problem));
  }

  #render() {
    if (!this.active) return;
    const wanted = this.#search.value.trim().toLowerCase();
    const found = this.#people.filter(({ name }) => name.toLowerCase().includes(wanted));
    $("known-search").hidden = this.#people.length < SEARCHABLE;
    $("known-empty").hidden = found.length > 0;
    this.#showEmpty(wanted ? "Nobody of that name" : "Nobody has a name yet", wanted ? "" : "Open a camera and click a face to name it.", !wanted);
    setText($("known-count"), this.#people.length ? plural(found.length, "person", "people") : "");
    this.#list.render(found.map((person) => ({ key: person.name, person })));
  }

  #showEmpty(title, text, next = false) {
    setText($("known-empty").querySelector("h2"), title);
    setWords($("known-empty").querySelector("p"), text);
    $("known-empty").querySelector("a").hidden = !next;
  }

  #made(element, { key: name }) {
    element.dataset.name = name;
    const part = (which) => element.querySelector(`[data-part="${which}"]`);
    for (const which of ["events", "rename", "merge", "remove"]) part(which).setAttribute("aria-label", `${part(which).textContent} ${which === "events" ? "of " : ""}${name}`);
    part("events").setAttribute("href", routeTo("events", null, { name }));
    part("rename").addEventListener("click", () => this.#naming.openPerson(this.#person(name), part("rename").getBoundingClientRect(), "rename"));
    part("remove").addEventListener("click", () => this.#naming.openPerson(this.#person(name), part("remove").getBoundingClientRect(), "forget"));
    part("merge").addEventListener("click", () => this.#merging.open(name, this.#people.map((person) => person.name).filter((other) => other !== name)));
    this.#observer.observe(element);
  }

  #gone(element) {
    this.#observer.unobserve(element);
    this.#portraits.forget(element.querySelector("img"));
  }

  #person(name) {
    return this.#people.find((person) => person.name === name) ?? { name, looks: 0 };
  }

  #fill(element, { name, looks }) {
    setText(element.querySelector(".known-name"), name);
    setText(element.querySelector(".known-note"), describeLooks(looks));
    const { mayControl } = this.#link;
    for (const which of ["rename", "merge", "remove"]) element.querySelector(`[data-part="${which}"]`).hidden = !mayControl;
    element.querySelector('[data-part="merge"]').disabled = this.#people.length < 2;
    this.#portraits.show(element.querySelector("img"), this.#faces.get(name) ?? null);
  }

  #scrolled(entries) {
    for (const { target, isIntersecting } of entries) if (isIntersecting) this.#findFace(target.dataset.name, target);
  }

  /** The picture of the last event of that person, where events are kept. */
  async #findFace(name, element) {
    if (this.#faces.has(name)) return;
    this.#faces.set(name, null);
    const query = new URLSearchParams({ name, limit: 1 });
    const page = await this.#link.json(`/api/events?${query}`).catch(() => null);
    const path = page?.events[0]?.picture;
    if (!path || !this.active) return;
    this.#faces.set(name, path);
    this.#portraits.show(element.querySelector("img"), path);
  }
}

/** Two names are one person's: which other one? */
export class MergeDialog {
  #name = "";

  constructor(dialog, { request, onChange }) {
    this.dialog = dialog;
    this.select = $("merge-into");
    dialog.querySelector("form").addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await request("people.merge", { name: this.#name, into: this.select.value });
        dialog.close();
        onChange();
      } catch (error) {
        this.#complain(error.message);
      }
    });
  }

  open(name, others) {
    this.#name = name;
    setText($("merge-title"), `Who else is ${name}?`);
    this.select.replaceChildren(...others.map((other) => new Option(other)));
    this.#complain("");
    this.dialog.showModal();
    this.select.focus();
  }

  #complain(text) {
    $("merge-wrong").hidden = !text;
    setText($("merge-wrong"), sentence(text));
  }
}
