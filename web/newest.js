// Newest wins: work that takes a while on things that go stale.

/**
 * Runs `work(item)` for one item at a time. While it runs, at most one item waits; a newer one takes its place and the
 * older is given to `discard`. So there is never a queue, and the delay is at most one piece of work.
 */
export class Newest {
  #work;
  #discard;
  #waiting = null;
  #busy = false;

  constructor(work, discard = () => {}) {
    this.#work = work;
    this.#discard = discard;
  }

  async offer(item) {
    if (this.#busy) {
      if (this.#waiting !== null) this.#discard(this.#waiting);
      this.#waiting = item;
      return;
    }
    this.#busy = true;
    try {
      for (let next = item; next !== null; next = this.#take()) await this.#work(next);
    } finally {
      this.#busy = false;
    }
  }

  #take() {
    const item = this.#waiting;
    this.#waiting = null;
    return item;
  }
}
