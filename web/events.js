// Who came when: which events are wanted, and the part of them that is on the page. Pure; times in Unix seconds.

const SPANS = { hour: 3600, day: 86400, week: 7 * 86400 };

/** What the filters say, from an address: {source, name, kind, span, since, until}; "" where nothing is said. */
export function readFilter(query) {
  const filter = Object.fromEntries(["source", "name", "kind", "span", "since", "until"].map((key) => [key, query.get(key) ?? ""]));
  if (filter.span !== "between") filter.since = filter.until = "";
  return filter;
}

/** The times that a filter means, now: [since, until], null where it sets none. */
export function timesOf({ span, since, until }, now) {
  if (SPANS[span]) return [now - SPANS[span], null];
  return [secondsOf(since), secondsOf(until)];
}

/** The parameters of `/api/events` for one page of what is wanted. */
export function eventsQuery(filter, { now, limit, before = null }) {
  const [since, until] = timesOf(filter, now);
  const { source, name, kind } = filter;
  const wanted = Object.entries({ source, name, kind, since, until, before, limit });
  return new URLSearchParams(wanted.filter(([, value]) => value !== null && value !== ""));
}

export function matches(event, filter, now) {
  const [since, until] = timesOf(filter, now);
  const same = ["source", "name", "kind"].every((key) => !filter[key] || filter[key] === event[key]);
  return same && (since === null || event.at >= since) && (until === null || event.at <= until);
}

/** The events on the page, newest first; never more than `most`. */
export class EventList {
  constructor(most) {
    this.most = most;
    this.events = [];
  }

  get full() {
    return this.events.length === this.most;
  }

  replace(events) {
    this.events = events.slice(0, this.most);
  }

  /** One that the server tells of now, new or changed; returns whether the page changes. */
  take(event, filter, now) {
    const place = this.events.findIndex(({ id }) => id === event.id);
    const fits = matches(event, filter, now);
    if (place < 0 && !fits) return false;
    if (place >= 0 && fits) this.events[place] = event;
    else if (place >= 0) this.events.splice(place, 1);
    else this.events.unshift(event);
    this.events.length = Math.min(this.events.length, this.most);
    return true;
  }

  remove(id) {
    this.events = this.events.filter((event) => event.id !== id);
  }
}

/** What has happened, in a word. */
export function kindWord({ kind, name }) {
  if (kind === "named" && name === null) return "Unnamed"; // the person was forgotten since
  return { arrived: "Arrived", named: "Named", left: "Left" }[kind] ?? kind;
}

export function titleOf({ name }) {
  return name ?? "Somebody";
}

function secondsOf(text) {
  const time = text ? new Date(text).getTime() : NaN;
  return Number.isNaN(time) ? null : time / 1000;
}
