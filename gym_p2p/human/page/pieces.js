/**
 * Puts together what comes in pieces over a channel that loses some and delivers others late:
 * `gym_p2p/human/pieces.py` has the same. The newest counts: what is older than a whole one is of no use any more.
 */

const HEAD_BYTES = 8;
const MOST_OPEN = 8;

export class Pieces {
  #newest = 0;
  #open = new Map();

  /** Take in a piece; return the whole that it completes as an ArrayBuffer, `null` where it completes none. */
  add(buffer) {
    if (buffer.byteLength <= HEAD_BYTES) return null;
    const view = new DataView(buffer);
    const [number, index, count] = [view.getUint32(0), view.getUint16(4), view.getUint16(6)];
    if (number <= this.#newest || index >= count) return null;
    const parts = this.#open.get(number) ?? new Map();
    this.#open.set(number, parts);
    parts.set(index, new Uint8Array(buffer, HEAD_BYTES));
    if (parts.size < count) {
      if (this.#open.size > MOST_OPEN) this.#open.delete(Math.min(...this.#open.keys()));
      return null;
    }
    this.#newest = number;
    for (const other of this.#open.keys()) if (other <= number) this.#open.delete(other);
    return joined(parts, count);
  }
}

function joined(parts, count) {
  let size = 0;
  for (const part of parts.values()) size += part.byteLength;
  const whole = new Uint8Array(size);
  let at = 0;
  for (let index = 0; index < count; index++) {
    whole.set(parts.get(index), at);
    at += parts.get(index).byteLength;
  }
  return whole.buffer;
}
