/**
 * One timer that is on time in a hidden tab, too.
 *
 * A browser lets the timers of a hidden tab fire once a second, later once a minute; messages it delivers at once.
 * So where the page is hidden, or a timer has been seen to be late, the time is waited for by messages that the page
 * sends itself. That keeps the processor busy: it is for few waits, of a second at most.
 *
 * Knows clocks. Refuses to know what is waited for.
 */

const LATE_MS = 100; // far above what a visible page's timers are late by, far below a hidden one's second

export class Alarm {
  #ring;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  /** @type {number | null} */ #dueMs = null;
  #late = false;
  #turning = false;

  /** @param {() => void} ring  called once, at the time or soon after. */
  constructor(ring) {
    this.#ring = ring;
  }

  /**
   * Ring at a time, and not at the one set before. Called again at whatever happens, it notices a timer that has not
   * come.
   *
   * @param {number | null} dueMs  by `performance.now()`; `null` is never.
   */
  set(dueMs) {
    this.#noteLate();
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    if (dueMs === null) return;
    if (this.#late || globalThis.document?.hidden) {
      this.#turn();
      return;
    }
    this.#timer = setTimeout(() => {
      this.#look();
      if (this.#dueMs === dueMs) this.set(dueMs); // a timer may come a fraction too early
    }, dueMs - performance.now());
  }

  #noteLate() {
    this.#late ||= this.#dueMs !== null && performance.now() - this.#dueMs >= LATE_MS;
  }

  #look() {
    this.#noteLate();
    if (this.#dueMs === null || performance.now() < this.#dueMs) return;
    this.#dueMs = null;
    this.#ring();
  }

  /** Look at the time in one turn of the event loop after the other, until there is no time to wait for. */
  #turn() {
    if (this.#turning) return;
    this.#turning = true;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      this.#look();
      if (this.#dueMs !== null) {
        port2.postMessage(null);
      } else {
        this.#turning = false;
        port1.close();
      }
    };
    port2.postMessage(null);
  }
}
