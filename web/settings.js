// What the person chose, remembered in this browser.

const KEY = "facestream.settings";
const DEFAULTS = { boxes: true, landmarks: true, ids: true, pose: false, mirror: false, selfMirror: true, smooth: false, theme: "auto", keys: true };

export class Settings extends EventTarget {
  constructor() {
    super();
    Object.assign(this, DEFAULTS, stored());
  }

  set(name, value) {
    this[name] = value;
    const chosen = Object.fromEntries(Object.keys(DEFAULTS).map((key) => [key, this[key]]));
    try {
      localStorage.setItem(KEY, JSON.stringify(chosen));
    } catch {
      // Storage may be full or forbidden: the choice then lasts as long as the page.
    }
    this.dispatchEvent(new Event("change"));
  }
}

function stored() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

/** Follows the system's light or dark unless the person chose one. */
export function applyTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}
