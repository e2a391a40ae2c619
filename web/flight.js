// Which frames of the person's own camera are on their way, and how large the next one should be. Pure bookkeeping.

/**
 * At most `capacity` frames between us and their answers, so that no queue can grow anywhere on the way. Frames are
 * numbered as the server numbers them: from 0 on each connection.
 */
export class Flight {
  #waiting = new Map(); // seq → {payload, sentAt}
  #next = 0;

  constructor(capacity = 2, timeout = 4) {
    this.capacity = capacity;
    this.timeout = timeout;
  }

  get size() {
    return this.#waiting.size;
  }

  get hasRoom() {
    return this.#waiting.size < this.capacity;
  }

  /** Remember a frame that goes out now; returns its number. */
  sent(payload, now) {
    this.#waiting.set(this.#next, { payload, sentAt: now });
    return this.#next++;
  }

  /**
   * The answer to frame `seq` arrived: `{payload, roundTrip, passed}`, or null when we don't wait for it any more.
   * `passed` are the payloads of older frames, which the server skipped: it answers in order.
   */
  answered(seq, now) {
    const found = this.#waiting.get(seq);
    if (!found) return null;
    const passed = [];
    for (const [number, { payload }] of this.#waiting) {
      if (number > seq) break;
      if (number < seq) passed.push(payload);
      this.#waiting.delete(number);
    }
    return { payload: found.payload, roundTrip: now - found.sentAt, passed };
  }

  /** Give up on frames older than the timeout; returns their payloads. */
  expire(now) {
    const lost = [];
    for (const [number, { payload, sentAt }] of this.#waiting) {
      if (now - sentAt < this.timeout) continue;
      lost.push(payload);
      this.#waiting.delete(number);
    }
    return lost;
  }

  /** A new connection: forget everything and number from 0 again; returns the payloads left over. */
  reset() {
    const left = [...this.#waiting.values()].map(({ payload }) => payload);
    this.#waiting.clear();
    this.#next = 0;
    return left;
  }
}

const STEPS = [
  { width: 320, quality: 0.6 },
  { width: 480, quality: 0.7 },
  { width: 640, quality: 0.8 },
  { width: 960, quality: 0.85 },
];

/**
 * Picks the picture size by what the *link* costs: the round trip less the time that the server itself took, so that a
 * slow model doesn't make the pictures small. Quick to step down, slow to step up.
 */
export class LinkFit {
  #step = 2;
  #slow = 0;
  #quick = 0;

  get step() {
    return STEPS[this.#step];
  }

  observe(roundTrip, served) {
    const link = Math.max(0, roundTrip - served);
    this.#slow = link > 0.25 ? this.#slow + 1 : 0;
    this.#quick = link < 0.08 ? this.#quick + 1 : 0;
    if (this.#slow >= 4) this.#move(-1);
    if (this.#quick >= 60) this.#move(+1);
  }

  lost() {
    this.#move(-1);
  }

  #move(by) {
    this.#step = Math.min(Math.max(this.#step + by, 0), STEPS.length - 1);
    this.#slow = this.#quick = 0;
  }
}
