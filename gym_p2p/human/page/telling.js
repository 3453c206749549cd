/**
 * Tells what is held, until that is known to have arrived: every change has a number, and is said again with those
 * that follow while nobody has heard it. Knows messages; which keys there are is others' to know.
 */

const MOST_CHANGES = 64;
const AGAIN_MS = 50; // where no frames come, with which it is said again

export class KeyTeller {
  #link;
  #seq = 0;
  #held = [];
  #unheard = [];
  #timer = null;

  constructor(link) {
    this.#link = link;
  }

  /** Begin with a process that has heard nothing. */
  restart() {
    this.#seq = 0;
    this.#held = [];
    this.#forget(Infinity);
  }

  /** Tell a change at once: what is held now, when that came about, and which key was pressed for it by what, if one was. */
  changed(held, at, code = null, by = null) {
    this.#seq += 1;
    this.#held = [...held];
    this.#unheard = [...this.#unheard, [this.#seq, at, code, by]].slice(-MOST_CHANGES);
    this.again();
  }

  focused(focused) {
    this.#link.send({ t: "focus", focused });
  }

  /** Forget the changes that have arrived. */
  heard(seq) {
    this.#forget(seq);
  }

  /** Say again what may not have arrived: once a frame, and where none comes by the clock. */
  again() {
    clearTimeout(this.#timer);
    if (this.#unheard.length === 0) return;
    this.#link.send({ t: "keys", held: this.#held, changes: this.#unheard }, { mayGetLost: true });
    if (this.#link.reliable) this.#forget(this.#seq);
    else this.#timer = setTimeout(() => this.again(), AGAIN_MS);
  }

  #forget(seq) {
    this.#unheard = this.#unheard.filter(([number]) => number > seq);
    if (this.#unheard.length === 0) clearTimeout(this.#timer);
  }
}
