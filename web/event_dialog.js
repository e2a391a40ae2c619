// One event: its picture or clip, and everything known of it.

import { kindWord, titleOf } from "./events.js";
import { clock, day, duration, sentence, setText } from "./format.js";
import { paint } from "./portraits.js";
import { routeTo } from "./router.js";

export class EventDialog {
  #event = null;
  #clip = ""; // the object URL of the clip that is shown

  /** `confirm(question)` asks the person; `onRemoved(id)` is called when an event is gone. */
  constructor(dialog, { link, confirm }) {
    this.dialog = dialog;
    this.link = link;
    this.confirm = confirm;
    this.onRemoved = () => {};
    this.image = dialog.querySelector("img");
    this.video = dialog.querySelector("video");
    this.part = (name) => dialog.querySelector(`[data-part="${name}"]`);
    this.part("remove").addEventListener("click", () => this.#remove());
    dialog.querySelector("dl").addEventListener("click", ({ target }) => { if (target.closest("a")) dialog.close(); });
    this.part("play").addEventListener("click", () => this.#play(this.#event));
    dialog.addEventListener("close", () => this.#clear());
  }

  open(event) {
    this.#clear();
    this.#event = event;
    setText(this.dialog.querySelector("h2"), titleOf(event));
    this.#showFacts(event);
    this.part("remove").hidden = !this.link.mayControl;
    this.part("play").hidden = !event.clip;
    this.image.alt = `${titleOf(event)} in ${event.source}`;
    this.dialog.showModal();
    if (event.picture) this.#showPicture(event);
  }

  #showFacts({ source, kind, name, track, started_at, ended_at }) {
    const now = Date.now() / 1000;
    const facts = {
      Camera: source,
      "What happened": kindWord({ kind, name }),
      Seen: `${day(started_at, now)}, ${clock(started_at)}${ended_at === null ? "" : ` to ${clock(ended_at)}`}`,
      Stayed: ended_at === null ? "still there" : duration(ended_at - started_at),
      Id: `#${track}`,
    };
    const elements = Object.entries(facts).map(([name, text]) => fact(name, text));
    const link = document.createElement("a");
    link.href = routeTo("camera", source);
    link.textContent = source;
    elements[0].lastElementChild.replaceChildren(link);
    this.dialog.querySelector("dl").replaceChildren(...elements);
  }

  async #showPicture(event) {
    try {
      const reply = await this.link.get(event.picture);
      if (!reply.ok) return;
      const blob = await reply.blob();
      if (event === this.#event && !this.#clip) await paint(this.image, blob);
    } catch {
      // The facts are there without it.
    }
  }

  async #play(event) {
    this.part("play").disabled = true;
    try {
      const reply = await this.link.get(event.clip);
      if (!reply.ok) throw new Error(reply.status === 404 ? "the clip isn't there any more" : "the clip can't be had now");
      const blob = await reply.blob();
      if (event !== this.#event) return;
      this.#clip = URL.createObjectURL(blob);
      this.video.src = this.#clip;
      this.video.hidden = false;
      this.image.hidden = true;
      this.part("play").hidden = true;
      this.video.focus();
      await this.video.play().catch(() => {}); // the person has its controls
    } catch (error) {
      if (event === this.#event) this.#complain(error.message);
    } finally {
      this.part("play").disabled = false;
    }
  }

  async #remove() {
    const event = this.#event;
    const done = await this.confirm({
      title: "Remove this event?",
      text: "Its picture and its clip are erased with it.",
      yes: "Remove",
      no: "Keep it",
      act: () => this.link.request("events.remove", { id: event.id }),
    });
    if (!done) return;
    this.onRemoved(event.id);
    if (event === this.#event) this.dialog.close();
  }

  #complain(text) {
    const element = this.dialog.querySelector(".wrong");
    element.hidden = !text;
    setText(element, sentence(text));
  }

  #clear() {
    this.#event = null;
    this.#complain("");
    this.image.hidden = this.video.hidden = true;
    this.image.removeAttribute("src");
    this.video.removeAttribute("src");
    this.video.load();
    if (this.#clip) URL.revokeObjectURL(this.#clip);
    this.#clip = "";
  }
}

export function fact(name, text) {
  const element = document.createElement("div");
  const term = document.createElement("dt");
  const value = document.createElement("dd");
  term.textContent = name;
  value.textContent = text;
  element.append(term, value);
  return element;
}
