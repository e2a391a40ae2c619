// How many pictures a second to ask for, so that none wait in a queue on the way. Pure; times in seconds.

const BEHIND = 0.6; // a lag that isn't jitter any more
const CAUGHT_UP = 0.25;
const PATIENCE = 1.5; // how long behind before we ask for less
const RECOVERY = 10; // how long without lag before we ask for more
const ENOUGH = 40; // more than this needs no limit

/**
 * A link or a page too slow for its pictures piles them up where nobody can skip them: in the network and in the
 * browser. Asking anew throws that pile away, and asking for fewer keeps it from coming back.
 */
export class Pace {
  #behindSince = null;
  #fineSince = null;

  constructor() {
    this.fps = null; // no limit
  }

  /** Takes a painted frame's lag and the rate of painting; returns whether to ask anew, with another `fps`. */
  observe(lag, rate, now) {
    this.#behindSince = lag > BEHIND ? (this.#behindSince ?? now) : null;
    this.#fineSince = lag < CAUGHT_UP ? (this.#fineSince ?? now) : null;
    if (this.#behindSince !== null && now - this.#behindSince >= PATIENCE) {
      return this.#ask(Math.max(1, Math.round(Math.min(rate, this.fps ?? rate) * 0.7)), now);
    }
    if (this.fps !== null && this.#fineSince !== null && now - this.#fineSince >= RECOVERY) {
      return this.#ask(this.fps * 2 > ENOUGH ? null : this.fps * 2, now);
    }
    return false;
  }

  #ask(fps, now) {
    this.fps = fps;
    this.#behindSince = null;
    this.#fineSince = now;
    return true;
  }
}
