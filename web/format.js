// Numbers, times and the server's words, as people read them. Pure; times in Unix seconds.

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

export function compact(number) {
  return number < 10000 ? String(number) : `${(number / 1000).toFixed(number < 100000 ? 1 : 0)}k`;
}

export function plural(count, one, several = `${one}s`) {
  return `${count} ${count === 1 ? one : several}`;
}

/** A length of time in at most two units: 3 s, 4 min 10 s, 2 h 5 min, 3 d 4 h. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < MINUTE) return `${whole} s`;
  const [unit, name, smaller, smallerName] = whole < HOUR ? [MINUTE, "min", 1, "s"] : whole < DAY ? [HOUR, "h", MINUTE, "min"] : [DAY, "d", HOUR, "h"];
  const rest = Math.floor((whole % unit) / smaller);
  return `${Math.floor(whole / unit)} ${name}${rest ? ` ${rest} ${smallerName}` : ""}`;
}

/** A time of day, to the second. */
export function clock(at) {
  return new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/** A day as people call it: Today, Yesterday, or its date. */
export function day(at, now) {
  const date = new Date(at * 1000);
  const days = Math.round((midnight(now) - midnight(at)) / DAY);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  const year = date.getFullYear() === new Date(now * 1000).getFullYear() ? {} : { year: "numeric" };
  return date.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", ...year });
}

function midnight(at) {
  return new Date(at * 1000).setHours(0, 0, 0, 0) / 1000;
}

/** The server's lines begin with a small letter and end without a full stop. */
export function sentence(text) {
  return text && `${text[0].toUpperCase()}${text.slice(1)}${/[.!?…]$/.test(text) ? "" : "."}`;
}

/** A name inside a line of other words: one written from right to left must not turn those around. */
export function isolated(name) {
  return `\u2068${name}\u2069`;
}

/** As `setText`, with the options of commands, such as `--identity sface`, each in one piece. */
export function setWords(element, text) {
  if (element.textContent === text) return;
  const parts = text.split(/(--[a-z-]+(?: (?!to |and |or )[a-z0-9]+(?=[.,;:)]))?)/);
  element.replaceChildren(...parts.map((part, index) => (index % 2 ? optionOf(part) : part)));
}

function optionOf(text) {
  const element = document.createElement("code");
  element.className = "option";
  element.textContent = text;
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
