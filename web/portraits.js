// Pictures that want the token: fetched when they come into view, a few at a time, and never kept twice.

const AT_ONCE = 4;
const AGAIN = 2000; // milliseconds, where the server has too much to do

export class Portraits {
  #get;
  #wanted = new WeakMap(); // img → path
  #queue = [];
  #busy = 0;
  #observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "200px 0px" });

  /** `get(path)` is `fetch` with the token. */
  constructor(get) {
    this.#get = get;
  }

  /** Show the picture at `path` in an `<img>` when it comes into view; null shows none. A path shown is not asked again. */
  show(image, path) {
    if (this.#wanted.get(image) === path) return;
    if (path === null) {
      this.forget(image);
      return;
    }
    this.#wanted.set(image, path);
    this.#observer.unobserve(image.parentElement);
    this.#observer.observe(image.parentElement); // the picture itself is hidden until it is there
  }

  forget(image) {
    this.#wanted.delete(image);
    this.#observer.unobserve(image.parentElement);
    image.hidden = true;
    image.removeAttribute("src");
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      this.#observer.unobserve(target);
      this.#queue.push(target.querySelector("img"));
    }
    this.#next();
  }

  #next() {
    while (this.#busy < AT_ONCE && this.#queue.length) {
      this.#busy += 1;
      this.#load(this.#queue.shift()).finally(() => {
        this.#busy -= 1;
        this.#next();
      });
    }
  }

  async #load(image) {
    const path = this.#wanted.get(image);
    if (!path || !image.isConnected) return;
    try {
      const reply = await this.#get(path);
      if (reply.status === 429) setTimeout(() => this.#again(image, path), AGAIN);
      if (!reply.ok) return;
      const blob = await reply.blob();
      if (this.#wanted.get(image) === path) await paint(image, blob);
    } catch {
      // The server is away, or it isn't a picture: the silhouette stays until somebody asks again.
      if (this.#wanted.get(image) === path) this.#wanted.delete(image);
    }
  }

  #again(image, path) {
    if (this.#wanted.get(image) !== path) return;
    this.#queue.push(image);
    this.#next();
  }
}

/** Decoded at once, so that its object URL needn't live on. */
export async function paint(image, blob) {
  const url = URL.createObjectURL(blob);
  try {
    image.src = url;
    await image.decode();
    image.hidden = false;
  } finally {
    URL.revokeObjectURL(url);
  }
}
