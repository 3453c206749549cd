/**
 * The picture: frames decoded in the order in which they came, drawn when the screen is, scaled by whole pixels.
 * A frame is what changed of one that was acknowledged; those that may still be a base are kept.
 */

const FORMAT = 2;
const HEAD_BYTES = 24;
const WHOLE = 1;
const INEXACT = 2;
const FILTERED = 4;
const MOST_UNDER_WAY = 16; // older ones that nobody knows to be here are no base any more; `frames.py` has the same
const SMALL = 4 / 3; // as large as it may be and lose a quarter at most with a dot a pixel
const TOLD_AGAIN = 8; // frames that were drawn, where what is told may get lost

/** The head of a frame, in network order; `gym_p2p/human/encoding.py` has the same. */
function headOf(buffer) {
  const view = new DataView(buffer);
  const flags = view.getUint8(1);
  return {
    version: view.getUint8(0),
    whole: (flags & WHOLE) !== 0,
    exact: (flags & INEXACT) === 0,
    filtered: (flags & FILTERED) !== 0,
    number: view.getUint32(2),
    base: view.getUint32(6),
    frame: view.getInt32(10),
    seq: view.getUint32(14),
    width: view.getUint16(18),
    height: view.getUint16(20),
    rectangles: view.getUint16(22),
  };
}

/** Written and read by hand: a Blob would go through the browser's own process, which takes seven times as long. */
async function inflated(bytes) {
  const { readable, writable } = new DecompressionStream("deflate");
  const writer = writable.getWriter();
  for (const done of [writer.write(bytes), writer.close()]) done.catch(() => {}); // whoever reads is told
  const parts = [];
  const reader = readable.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value);
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Put rectangles over a picture: RGB to RGBA, sums modulo 256, as an array of bytes has them by itself. */
function put(pixels, { width, rectangles, filtered }, body) {
  const places = new DataView(body.buffer, body.byteOffset);
  let from = rectangles * 8;
  for (let index = 0; index < rectangles; index++) {
    const [x, y, w, h] = [0, 2, 4, 6].map((offset) => places.getUint16(index * 8 + offset));
    for (let row = y; row < y + h; row++) {
      const begin = (row * width + x) * 4;
      let [red, green, blue] = [0, 0, 0];
      for (let to = begin; to < begin + w * 4; to += 4) {
        if (filtered) {
          red += body[from++];
          green += body[from++];
          blue += body[from++];
          pixels[to] = red + green;
          pixels[to + 1] = green;
          pixels[to + 2] = blue + green;
        } else {
          pixels[to] = body[from++];
          pixels[to + 1] = body[from++];
          pixels[to + 2] = body[from++];
        }
      }
    }
  }
}

export class Screen {
  #canvas;
  #context;
  #link;
  #kept = new Map();
  #work = Promise.resolve();
  #newest = null;
  #drawn = null;
  #shown = [];
  #told = [];
  #asked = false;
  #generation = 0;

  /** @param link is told which frames have arrived, and which were drawn when. */
  constructor(canvas, link) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false, colorSpace: "srgb" });
    this.#link = link;
    new ResizeObserver(() => this.#fit()).observe(canvas.parentElement);
    addEventListener("resize", () => this.#fit());
  }

  /** The frame of the episode that is drawn, and the number of its message; null before the first. */
  get drawn() {
    return this.#drawn;
  }

  /** How many pictures are kept. */
  get kept() {
    return this.#kept.size;
  }

  /** Whether what is drawn is less than the environment rendered, because the line is slow. */
  get simplified() {
    return this.#newest !== null && !this.#newest.exact;
  }

  /** Begin with a process that sends whole pictures first. */
  restart() {
    this.#generation += 1;
    this.#kept.clear();
    this.#shown = [];
    this.#told = [];
  }

  /** Take a frame; acknowledged as soon as it is decoded, which needs nobody to look. */
  receive(buffer) {
    const generation = this.#generation;
    this.#work = this.#work.then(() => this.#decode(buffer, generation)).catch((error) => console.error(error));
  }

  async #decode(buffer, generation) {
    const head = headOf(buffer);
    const body = await inflated(new Uint8Array(buffer, HEAD_BYTES));
    if (generation !== this.#generation || head.version !== FORMAT) return;
    const base = head.whole ? null : this.#kept.get(head.base);
    if (base === undefined) return; // not acknowledged: whoever sent it goes on from an older one
    const pixels = base === null ? new Uint8Array(head.width * head.height * 4).fill(255) : base.slice();
    put(pixels, head, body);
    for (const number of this.#kept.keys()) {
      if (number !== head.base && number <= head.number - MOST_UNDER_WAY) this.#kept.delete(number);
      else if (number < head.base) this.#kept.delete(number);
    }
    this.#kept.set(head.number, pixels);
    this.#newest = { ...head, pixels };
    this.#tell(head.number);
    if (!this.#asked) {
      this.#asked = true;
      requestAnimationFrame(() => this.#draw());
    }
  }

  #tell(number) {
    const shown = [...this.#told, ...this.#shown.splice(0, 32)];
    this.#told = this.#link.reliable ? [] : shown.slice(-TOLD_AGAIN);
    this.#link.send({ t: "ack", n: number, shown }, { mayGetLost: true });
  }

  #draw() {
    this.#asked = false;
    const { width, height, pixels, number, frame } = this.#newest;
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
      this.#fit();
    }
    this.#context.putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), width, height), 0, 0);
    this.#drawn = { number, frame };
    this.#shown.push([number, performance.now()]);
    setTimeout(() => this.#shown.length > 0 && this.#tell(number), 100);
  }

  /**
   * Make each pixel a square of whole dots of the screen, as large as there is room for. Where that is a single dot, and
   * there is room for much more, the picture would be small: it takes all the room, and is smoothed.
   */
  #fit() {
    const { width, height } = this.#canvas;
    if (width === 0) return;
    const box = this.#canvas.parentElement.getBoundingClientRect();
    const room = Math.min(box.width / width, box.height / height);
    const dots = room * devicePixelRatio; // of the screen, for a pixel
    const fine = dots >= 2 || (dots >= 1 && dots < SMALL);
    const scale = fine ? Math.floor(dots) / devicePixelRatio : room;
    this.#canvas.style.setProperty("--width", `${width * scale}px`);
    this.#canvas.style.setProperty("--height", `${height * scale}px`);
    this.#canvas.classList.toggle("smooth", !fine);
  }
}
