// Rates and latencies from events; the time is always handed in, in seconds.

const DRIFT = 1e-4; // how far two clocks may drift apart, seconds a second

/** Events a second over the last few seconds. */
export class RateMeter {
  #times = [];

  constructor(window = 3) {
    this.window = window;
  }

  count(now) {
    this.#times.push(now);
    this.#forget(now);
  }

  rate(now) {
    this.#forget(now);
    const times = this.#times;
    if (times.length < 2) return 0;
    return (times.length - 1) / Math.max(now - times[0], times.at(-1) - times[0], 1e-3);
  }

  #forget(now) {
    while (this.#times.length && now - this.#times[0] > this.window) this.#times.shift();
  }
}

/**
 * The age of a frame when it is painted, in milliseconds, without trusting that two clocks agree: the server's own
 * share, plus the time it lay here, plus what this message took longer on its way than the quickest one. A queue that
 * builds up anywhere between the camera and the screen shows.
 */
export class LatencyMeter {
  #quickest = Infinity;
  #seen = 0;
  #recent = [];

  /** Takes one painted frame; returns its lag: the seconds of its age that the server doesn't account for. */
  observe(message, receivedAt, paintedAt) {
    const served = (message.latency_ms ?? 0) / 1000;
    const transit = receivedAt - message.captured_at - served;
    if (this.#seen) this.#quickest += DRIFT * Math.max(0, receivedAt - this.#seen);
    this.#seen = receivedAt;
    this.#quickest = Math.min(this.#quickest, transit);
    const lag = transit - this.#quickest + paintedAt - receivedAt;
    this.#recent.push((served + lag) * 1000);
    if (this.#recent.length > 25) this.#recent.shift();
    return lag;
  }

  /** The median of the last 25 frames, or null before the first. */
  get milliseconds() {
    return median(this.#recent);
  }
}

export function median(values) {
  if (!values.length) return null;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
