/**
 * The ping burst: the latency of an open channel, in text JSON.
 *
 * Two warm-ups are thrown away, then ten pings go out 50 ms apart without waiting for the pong before; it ends
 * after 5 or 9 when those agree well enough. Knows pings and pongs. Refuses to know what carries them.
 */

const WARM_UPS = 2;
const PINGS = 10;
const PING_INTERVAL_MS = 50;
const PING_TIMEOUT_MS = 1000;
const TOLERANCE_MS = 1;
const TOLERANCE = 0.02;

/** Where the burst may end early: after so many pings, the spread of all but `trim` at each end decides. */
const CHECKPOINTS = [
  { count: 5, trim: 0 },
  { count: 9, trim: 1 },
];

/**
 * @typedef {object} PingStatistics
 * @property {number[]} samplesMs  the answered pings, in the order in which they were sent.
 * @property {number} count  pings, without warm-ups.
 * @property {number} loss  the share of them that was not answered within a second.
 * @property {number | null} medianMs  `null` without an answer.
 * @property {number | null} jitterMs  the median absolute deviation from the median.
 *
 * @typedef {{ sentMs: number, rttMs: number | null, done: () => void }} Ping
 */

export class PingBurst {
  #send;
  /** @type {Map<number, Ping>} */ #open = new Map();
  #nextSeq = 0;
  #stopped = false;

  /** @param {(text: string) => void} send  sends a text to the peer, now. */
  constructor(send) {
    this.#send = send;
  }

  /**
   * Take in a message of the channel: a ping is answered at once, and what is neither ping nor pong ignored.
   *
   * @param {unknown} data
   */
  receive(data) {
    const nowMs = performance.now();
    const message = parse(data);
    if (message?.type === "ping") {
      this.#send(JSON.stringify({ type: "pong", seq: message.seq, ts: message.ts }));
    } else if (message?.type === "pong") {
      const ping = this.#open.get(message.seq);
      if (ping === undefined || this.#stopped) return;
      this.#open.delete(message.seq);
      ping.rttMs = Math.max(0, nowMs - ping.sentMs);
      ping.done();
    }
  }

  /**
   * Measure; takes a quarter of a second to three.
   *
   * @returns {Promise<PingStatistics>}
   */
  async measure() {
    await Promise.race(Array.from({ length: WARM_UPS }, () => this.#ping().settled));
    const sent = [];
    for (let count = 0; count < PINGS; count += 1) {
      if (count > 0) await sleep(PING_INTERVAL_MS);
      if (this.#stopped || isEnough(sent.map(({ ping }) => ping.rttMs))) break;
      sent.push(this.#ping());
    }
    await Promise.all(sent.map(({ settled }) => settled));
    const rtts = sent.filter(({ ping }) => !this.#isOpen(ping)).map(({ ping }) => ping.rttMs);
    return statistics(
      rtts.filter((rtt) => rtt !== null),
      rtts.length,
    );
  }

  /** End a measurement with what it has: pings that are still under way do not count. Idempotent. */
  stop() {
    this.#stopped = true;
    for (const ping of this.#open.values()) ping.done();
  }

  /** @param {Ping} ping */
  #isOpen(ping) {
    return [...this.#open.values()].includes(ping);
  }

  /** Send a ping; `settled` resolves when it is answered or lost. */
  #ping() {
    const seq = this.#nextSeq++;
    /** @type {Ping} */
    const ping = { sentMs: performance.now(), rttMs: null, done: () => {} };
    const settled = new Promise((resolve) => {
      const lost = setTimeout(() => {
        this.#open.delete(seq);
        resolve(undefined);
      }, PING_TIMEOUT_MS);
      ping.done = () => {
        clearTimeout(lost);
        resolve(undefined);
      };
    });
    this.#open.set(seq, ping);
    this.#send(JSON.stringify({ type: "ping", seq, ts: Date.now() }));
    return { ping, settled };
  }
}

/** @param {Array<number | null>} rtts */
function isEnough(rtts) {
  return CHECKPOINTS.some(({ count, trim }) => {
    const first = rtts.slice(0, count);
    const answered = first.filter((rtt) => rtt !== null);
    if (first.length < count || answered.length < count) return false;
    const ordered = answered.sort((a, b) => a - b);
    const spread = ordered[count - 1 - trim] - ordered[trim];
    return spread <= 2 * (TOLERANCE_MS + TOLERANCE * median(ordered));
  });
}

/**
 * @param {number[]} samplesMs
 * @param {number} count
 * @returns {PingStatistics}
 */
function statistics(samplesMs, count) {
  const medianMs = samplesMs.length > 0 ? median(samplesMs) : null;
  return {
    samplesMs,
    count,
    loss: count > 0 ? (count - samplesMs.length) / count : 0,
    medianMs,
    jitterMs: medianMs === null ? null : median(samplesMs.map((rtt) => Math.abs(rtt - medianMs))),
  };
}

/** @param {number[]} values */
function median(values) {
  const ordered = [...values].sort((a, b) => a - b);
  const middle = ordered.length >> 1;
  return ordered.length % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
}

/** @param {unknown} data */
function parse(data) {
  if (typeof data !== "string") return null;
  try {
    const message = JSON.parse(data);
    return Number.isSafeInteger(message?.seq) ? message : null;
  } catch {
    return null;
  }
}

/** @param {number} ms */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
