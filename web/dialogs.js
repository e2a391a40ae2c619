// What dialogs have in common, and the smallest of them.

import { hasToken } from "./access.js";
import { sentence, setText } from "./format.js";

const $ = (id) => document.getElementById(id);

/** Buttons that close the dialog they are in; Esc does it by itself. */
export function closeByButtons() {
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
}

/**
 * Asks before something is done that can't be undone, and does it: `{title, text, yes, no, act}`. Resolves with whether
 * it was done; what goes wrong is said in the dialog, which stays open.
 */
export class Confirmation {
  #question = null;
  #answer = null;

  constructor() {
    this.dialog = $("confirm-dialog");
    this.ask = this.ask.bind(this);
    this.dialog.querySelector("form").addEventListener("submit", (event) => this.#act(event));
    this.dialog.addEventListener("close", () => this.#answer?.(false));
  }

  ask(question) {
    this.#question = question;
    setText($("confirm-title"), question.title);
    setText($("confirm-text"), question.text);
    setText($("confirm-yes"), question.yes);
    setText($("confirm-no"), question.no);
    $("confirm-wrong").hidden = true;
    this.dialog.showModal();
    $("confirm-no").focus();
    return new Promise((resolve) => { this.#answer = resolve; });
  }

  async #act(event) {
    event.preventDefault();
    $("confirm-yes").disabled = true;
    try {
      await this.#question.act();
      this.#answer(true);
      this.dialog.close();
    } catch (error) {
      $("confirm-wrong").hidden = false;
      setText($("confirm-wrong"), sentence(error.message));
    } finally {
      $("confirm-yes").disabled = false;
    }
  }
}

/** Asks for the server's token; there is nothing behind it until there is one. */
export class TokenDialog {
  #wanted = false;

  constructor({ onToken }) {
    this.dialog = $("token-dialog");
    // A browser lets a second Esc close it whatever the page says to the first.
    this.dialog.addEventListener("cancel", (event) => event.preventDefault());
    this.dialog.addEventListener("close", () => { if (this.#wanted) this.dialog.showModal(); });
    $("token-form").addEventListener("submit", () => {
      this.#wanted = false;
      onToken($("token").value.trim());
    });
  }

  open() {
    $("token-wrong").hidden = !hasToken();
    this.#wanted = true;
    if (!this.dialog.open) this.dialog.showModal();
  }

  close() {
    this.#wanted = false;
    if (!this.dialog.open) return;
    $("token").value = "";
    this.dialog.close();
  }
}
