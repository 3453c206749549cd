/**
 * The latency of an open channel: a {@link Burst} on the page's clock.
 *
 * Knows clocks. Refuses to know what carries the texts, and when enough has been seen.
 */

import { Alarm } from "./alarm.js";
import { Burst, statistics } from "./burst.js";

/** @typedef {import("./burst.js").PingStatistics} PingStatistics */

export class PingBurst {
  #burst;
  #send;
  /** @type {Promise<PingStatistics> | null} */ #measuring = null;
  /** @type {(found: PingStatistics) => void} */ #resolve = () => {};
  #stopped = false;
  #alarm = new Alarm(() => {
    this.#burst.handleTimeout(performance.now());
    this.#carryOn();
  });

  /**
   * @param {(text: string) => void} send  sends a text to the peer, now.
   * @param {{ thresholdMs?: number | null }} [options]  what the median will be compared with, which decides how exact
   *     it has to be; `null` measures to a fixed precision.
   */
  constructor(send, { thresholdMs = null } = {}) {
    this.#send = send;
    this.#burst = new Burst(thresholdMs);
  }

  /**
   * Take in a message of the channel: a ping is answered at once, and what is neither ping nor pong ignored.
   *
   * @param {unknown} data
   */
  receive(data) {
    this.#burst.receive(data, performance.now());
    this.#carryOn();
  }

  /**
   * Measure; takes a quarter of a second to three. Calls at the same time share one burst.
   *
   * @returns {Promise<PingStatistics>}  without samples where it was stopped before there were three.
   */
  measure() {
    if (this.#measuring !== null) return this.#measuring;
    const measuring = new Promise((/** @type {(found: PingStatistics) => void} */ resolve) => {
      this.#resolve = resolve;
    });
    this.#measuring = measuring;
    if (!this.#stopped) this.#burst.start(performance.now());
    this.#carryOn();
    return measuring;
  }

  /** End a measurement with what it has: pings that are still under way do not count. Idempotent. */
  stop() {
    this.#stopped = true;
    this.#burst.stop();
    this.#carryOn();
  }

  #carryOn() {
    for (let output = this.#burst.poll(); output !== null; output = this.#burst.poll()) {
      if ("text" in output) this.#send(output.text);
      else this.#end(output.statistics);
    }
    if (this.#stopped) this.#end(statistics([], 0));
    this.#alarm.set(this.#burst.nextTimeout());
  }

  /** @param {PingStatistics} found */
  #end(found) {
    this.#measuring = null;
    this.#resolve(found);
  }
}
