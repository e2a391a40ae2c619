// Single keys that do what buttons do, and the help that lists them: both from one table.

const PATIENCE = 1500; // milliseconds between the two keys of a pair

export class Keys {
  #table;
  #settings;
  #first = "";
  #timer = 0;

  /** `table`: rows `[keys, what it does, action]`; a key of two letters, such as "g e", is one after the other. */
  constructor(table, settings) {
    this.#table = table;
    this.#settings = settings;
    document.addEventListener("keydown", (event) => this.#pressed(event));
  }

  /** Write the table into a list of terms. */
  describe(list) {
    list.replaceChildren(
      ...this.#table.map(([keys, words]) => {
        const row = document.createElement("div");
        const term = document.createElement("dt");
        for (const key of keys.split(" ")) {
          const element = document.createElement("kbd");
          element.textContent = key.length === 1 ? key.toUpperCase() : key;
          term.append(element, " ");
        }
        const meaning = document.createElement("dd");
        meaning.textContent = words;
        row.append(term, meaning);
        return row;
      }),
    );
  }

  #pressed(event) {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog, summary, video")) return;
    if (!this.#settings.keys && event.key !== "?") return;
    const pressed = this.#first ? `${this.#first} ${event.key}` : event.key;
    this.#wait("");
    const digit = /^[1-9]$/.test(pressed) ? "1–9" : pressed;
    const action = this.#table.find(([keys]) => keys === digit)?.[2];
    if (action) {
      event.preventDefault();
      action(pressed);
    } else if (this.#table.some(([keys]) => keys.startsWith(`${pressed} `))) {
      this.#wait(pressed);
    }
  }

  #wait(first) {
    clearTimeout(this.#timer);
    this.#first = first;
    if (first) this.#timer = setTimeout(() => { this.#first = ""; }, PATIENCE);
  }
}
