// Add a camera, or change one: the dialog with its address, its rates, and the part of the picture to look at.

import { sentence, setText } from "./format.js";
import { RegionPicker } from "./region_picker.js";
import { fieldOf, parametersOf, whatIsWrong } from "./source_values.js";

const TEXTS = ["url", "name", "max_rate", "detect_every", "rtsp_transport"];

const $ = (id) => document.getElementById(id);

export class SourceForm {
  #before = null; // the source that is changed, or null: one is added
  #link;

  /** `onRemove(name)` asks whether it should go. */
  constructor(dialog, { link, onRemove }) {
    this.dialog = dialog;
    this.form = dialog.querySelector("form");
    this.#link = link;
    this.field = (name) => this.form.elements[name];
    this.picker = new RegionPicker($("source-region"), ["left", "top", "right", "bottom"].map(this.field), link);
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.form.addEventListener("input", ({ target }) => this.#mended(target));
    $("source-region-all").addEventListener("click", () => { this.picker.set([0, 0, 1, 1]); this.#complain("region", ""); });
    $("source-remove").addEventListener("click", () => onRemove(this.#before.name));
    dialog.addEventListener("close", () => this.picker.close());
  }

  /** For a source of the book, or for a new one. */
  open(source = null) {
    this.#before = source;
    this.form.reset();
    const options = source?.options ?? {};
    const shown = { ...options, url: source?.url };
    for (const name of TEXTS) this.field(name).value = shown[name] ?? "";
    for (const name of ["events", "clips"]) this.field(name).checked = options[name] ?? true;
    setText($("source-title"), source ? `Edit ${source.name}` : "Add a camera");
    setText($("source-lasts"), source ? "Changes last until the server is started again. To keep them, write them into facestream.toml." : "It stays until the server is started again. To keep it, write it into facestream.toml.");
    setText($("source-save"), source ? "Save" : "Add");
    setText($("source-region-hint"), source ? "Draw a rectangle on the picture, or write its edges. Faces elsewhere aren't looked for." : "Write the edges of a rectangle, or draw it later: edit the camera once it is there.");
    this.form.querySelector('[data-field="name"]').hidden = source !== null;
    $("source-remove").hidden = source === null;
    for (const name of [...TEXTS, "region", null]) this.#complain(name, "");
    this.#showTransport();
    $("source-more").open = source !== null;
    this.dialog.showModal();
    this.picker.open(source && source.state !== "stopped" ? source.name : null, options.region ?? null);
    this.field("url").focus();
  }

  get #values() {
    const texts = Object.fromEntries(TEXTS.map((name) => [name, this.field(name).value.trim()]));
    // A number field that holds no number says "".
    if (this.field("max_rate").validity.badInput) texts.max_rate = "?";
    return { ...texts, events: this.field("events").checked, clips: this.field("clips").checked, known: this.#before?.url };
  }

  async #submit(event) {
    event.preventDefault();
    const values = this.#values;
    const wrong = whatIsWrong(values, { adding: !this.#before, region: this.picker.wrong });
    for (const name of [...TEXTS, "region", null]) this.#complain(name, wrong[name] ?? "");
    const [first] = Object.keys(wrong);
    if (first) {
      this.field(first === "region" ? "left" : first).focus();
      return;
    }
    await this.#send(parametersOf(values, this.picker.value, this.#before));
  }

  async #send(params) {
    const before = this.#before;
    $("source-save").disabled = true;
    try {
      const source = await this.#link.request(before ? "sources.update" : "sources.add", params);
      this.#link.learn(source);
      this.dialog.close();
    } catch (error) {
      const field = fieldOf(error);
      this.#complain(field, sentence(error.message));
      if (field) this.field(field === "region" ? "left" : field).focus();
    } finally {
      $("source-save").disabled = false;
    }
  }

  #mended(input) {
    const field = input.closest("[data-field]")?.dataset.field;
    if (field) this.#complain(field, "");
    if (field === "url") this.#showTransport();
  }

  #showTransport() {
    this.form.querySelector('[data-field="rtsp_transport"]').hidden = !/^rtsps?:/i.test(this.field("url").value);
  }

  /** Beside the field, or for null below the form. */
  #complain(field, text) {
    const place = field ? this.form.querySelector(`[data-field="${field}"]`) : this.form;
    const element = field ? place.querySelector(".wrong") : $("source-wrong");
    element.hidden = !text;
    setText(element, text);
    if (!field) return;
    if (text && $("source-more").contains(place)) $("source-more").open = true;
    for (const input of place.querySelectorAll("input, select")) {
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
  }
}
