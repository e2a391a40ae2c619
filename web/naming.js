// Who is this? A small dialog beside a face, that gives it a name, another one, or forgets whose it is.

import { sentence, setText, setWords } from "./format.js";
import { besides } from "./geometry.js";
import { describeLooks, drawThumbnail } from "./people.js";

/** What may be done, and how the dialog looks meanwhile: the parts that are shown, and what its button says. */
const MODES = {
  off: { parts: [] },
  ask: { parts: ["entry"], button: "Save" },
  known: { parts: ["actions"] },
  rename: { parts: ["entry"], button: "Rename" },
  forget: { parts: [], button: "Forget" },
};

/**
 * `request(method, params)` asks the server; `recognition()` is what it said about recognising; `onChange()` is called
 * when people have changed. What is open stays bound to one source and track, or to one person.
 */
export class NamingDialog {
  #subject = null; // {source, track, name, about}
  #mode = "off";
  #people = []; // as the server listed them

  constructor(dialog, { request, recognition, onChange }) {
    this.dialog = dialog;
    this.request = request;
    this.recognition = recognition;
    this.onChange = onChange;
    this.part = (name) => dialog.querySelector(`[data-part="${name}"]`);
    this.input = dialog.querySelector("input");
    dialog.querySelector("form").addEventListener("submit", (event) => this.#submit(event));
    this.input.addEventListener("input", () => this.#showButton());
    dialog.addEventListener("click", (event) => { if (isOutside(event, dialog)) dialog.close(); });
    this.part("rename").addEventListener("click", () => this.#enter("rename"));
    this.part("other").addEventListener("click", () => this.#enter("ask"));
    this.part("forget").addEventListener("click", () => this.#enter("forget"));
  }

  /** For a face of the picture that a stage shows; `rect` is what to stand beside, `where` first "aside" or "below" it. */
  openFace({ face, picture, message, mirrored }, rect, where) {
    drawThumbnail(this.part("picture"), face, picture, message.size, mirrored);
    const name = face.identity?.name ?? null;
    const alike = name ? `${Math.round(face.identity.similarity * 100)}% alike · ` : "";
    this.#open({ source: message.source, track: face.track, name, about: `${alike}#${face.track} in ${message.source}` }, rect, where);
  }

  /** For somebody who needn't be in the picture; `mode` is what is done first: "rename" or "forget". */
  openPerson({ name, looks }, rect, mode) {
    this.#open({ source: null, track: null, name, about: describeLooks(looks) }, rect, "below", mode);
  }

  #open(subject, rect, where, mode = subject.name ? "known" : "ask") {
    this.#subject = subject;
    this.part("picture").hidden = this.part("other").hidden = subject.source === null;
    setText(this.part("about"), subject.about);
    this.#enter(this.recognition().on ? mode : "off");
    if (!this.dialog.open) this.dialog.showModal();
    this.#focus();
    const { width, height } = this.dialog.getBoundingClientRect();
    const [x, y] = besides(rect, [width, height], [document.documentElement.clientWidth, innerHeight], where);
    this.dialog.style.setProperty("--x", `${x}px`);
    this.dialog.style.setProperty("--y", `${y}px`);
    if (this.#mode !== "off") this.#listPeople();
  }

  #enter(mode) {
    this.#mode = mode;
    const { name } = this.#subject;
    const shown = MODES[mode];
    for (const part of ["entry", "actions"]) this.part(part).hidden = !shown.parts.includes(part);
    const titles = { off: "Who is this?", ask: "Who is this?", known: name, rename: `Rename ${name}`, forget: `Forget ${name}?` };
    setText(this.part("title"), titles[mode]);
    const { reason } = this.recognition();
    const texts = { off: sentence(reason || "this server recognises nobody"), forget: `All that is stored about ${name} is erased, for good.` };
    setWords(this.part("text"), texts[mode] ?? "");
    this.part("text").hidden = !texts[mode];
    this.part("save").classList.toggle("danger", mode === "forget");
    this.part("save").classList.toggle("primary", mode !== "forget");
    this.input.value = mode === "rename" ? name : "";
    this.input.required = shown.parts.includes("entry");
    this.#complain("");
    this.#showButton();
    if (this.dialog.open) this.#focus();
  }

  #focus() {
    if (MODES[this.#mode].parts.includes("entry")) {
      this.input.focus();
      this.input.select();
    } else if (this.#mode === "forget") this.part("cancel").focus();
  }

  async #listPeople() {
    const subject = this.#subject;
    let people;
    try {
      people = await this.request("people.list", {});
    } catch (error) {
      if (subject === this.#subject) this.#complain(error.message);
      return;
    }
    if (subject !== this.#subject) return;
    this.#people = people;
    this.dialog.querySelector("datalist").replaceChildren(...people.map(({ name }) => new Option(name)));
    this.#showButton();
  }

  /** A new name that somebody else has makes one person of two. */
  get #other() {
    const wanted = this.input.value.trim().toLowerCase();
    if (wanted === this.#subject.name?.toLowerCase()) return null;
    return this.#people.find(({ name }) => name.toLowerCase() === wanted)?.name ?? null;
  }

  #showButton() {
    const { button } = MODES[this.#mode];
    this.part("save").hidden = !button;
    setText(this.part("cancel"), { forget: "Keep", off: "Close", known: "Close" }[this.#mode] ?? "Cancel");
    const merges = this.#mode === "rename" && this.#other;
    setText(this.part("save"), merges ? `Same as ${this.#other}` : button ?? "");
  }

  #wanted() {
    const { source, track, name } = this.#subject;
    const entered = this.input.value.trim();
    if (this.#mode === "ask") return ["people.name", { source, track, name: entered }];
    if (this.#mode === "forget") return ["people.remove", { name }];
    return this.#other ? ["people.merge", { name, into: this.#other }] : ["people.rename", { name, to: entered }];
  }

  async #submit(event) {
    event.preventDefault();
    if (!MODES[this.#mode].button || this.part("save").disabled) return;
    const subject = this.#subject;
    this.#complain("");
    this.part("save").disabled = true;
    try {
      await this.request(...this.#wanted());
      if (subject === this.#subject) this.dialog.close();
      this.onChange();
    } catch (error) {
      if (subject === this.#subject) this.#complain(error.message);
    } finally {
      this.part("save").disabled = false;
    }
  }

  #complain(text) {
    const element = this.part("wrong");
    element.hidden = !text;
    setText(element, text && sentence(text));
  }
}

function isOutside({ target, clientX, clientY }, dialog) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return target === dialog && (clientX < left || clientX > right || clientY < top || clientY > bottom);
}
