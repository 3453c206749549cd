/**
 * A burst of pings without a channel or a clock: when the next one is due, when enough has been seen, and the
 * statistics of what came back.
 *
 * The rule is the one that Python players follow (`gym_p2p/core/probing/burst.py` has the reasons), number
 * by number, so that a pair near a threshold is judged alike whatever its two sides run: two warm-ups are thrown
 * away, then pings go out 50 ms apart without waiting for the pong before. After 5, 9 and 10 of them it ends if the
 * interval that holds the median lies on one side of the threshold; without a threshold, if it is narrow enough, or
 * after 10. Else it goes on to 15.
 *
 * Times are milliseconds of a clock that never jumps. Refuses to know what carries the texts.
 */

const WARM_UPS = 2;
const WARM_UP_INTERVAL_MS = 100;
const PING_INTERVAL_MS = 50;
const PING_TIMEOUT_MS = 1000;
/** Of a burst that was cut short: fewer mean too little for a median. */
const LEAST_SAMPLES = 3;
const CHECKPOINTS = [5, 9];
const PINGS = 10;
const MORE_PINGS = 15;
/** What is believed of the time for which the other side kept a ping. */
const MOST_HELD_MS = 2;
const TOLERANCE_MS = 1;
const TOLERANCE = 0.02;
const CONFIDENCE = 0.9;
const MAX_TEXT_CHARS = 256;

/**
 * @typedef {object} PingStatistics
 * @property {number[]} samplesMs  the answered pings' round trips, in the order in which these were sent.
 * @property {number} count  pings, without warm-ups.
 * @property {number} loss  the share of them that was not answered within a second.
 * @property {boolean} borderline  whether even the longest burst left open on which side of the threshold the
 *     median lies.
 * @property {number | null} medianMs  `null` without an answer.
 * @property {number | null} jitterMs  the median absolute deviation from the median.
 *
 * @typedef {{ sentMs: number, rttMs: number | null, lost: boolean }} Ping
 * @typedef {{ text: string } | { statistics: PingStatistics }} BurstOutput  to send now, or the end.
 */

export class Burst {
  #thresholdMs;
  /** @type {BurstOutput[]} */ #outputs = [];
  #nextSeq = 0;
  /** @type {Set<number>} */ #warmUps = new Set();
  /** @type {Map<number, Ping>} */ #pings = new Map();
  #goal = 0;
  /** @type {number | null} */ #nextPingMs = null;
  /** @type {number | null} */ #coldUntilMs = null;

  /** @param {number | null} [thresholdMs]  what the median will be compared with; `null` when with nothing. */
  constructor(thresholdMs = null) {
    this.#thresholdMs = thresholdMs;
  }

  get running() {
    return this.#goal > 0;
  }

  /**
   * Begin a measurement; does nothing while one is under way.
   *
   * @param {number} nowMs
   */
  start(nowMs) {
    if (this.running) return;
    this.#goal = PINGS;
    this.#pings.clear();
    this.#warmUps = new Set(Array.from({ length: WARM_UPS }, () => this.#sendPing(nowMs)));
    this.#nextPingMs = nowMs + WARM_UP_INTERVAL_MS;
    this.#coldUntilMs = nowMs + PING_TIMEOUT_MS;
  }

  /** End a measurement that cannot go on, with what was answered until then if that is enough. Idempotent. */
  stop() {
    const settled = [...this.#pings.values()].filter(isSettled);
    if (this.running && settled.filter(({ rttMs }) => rttMs !== null).length >= LEAST_SAMPLES) {
      this.#finish(answered(settled), settled.length);
    }
    this.#goal = 0;
  }

  /**
   * Take in a message of the channel; what is neither ping nor pong is ignored.
   *
   * @param {unknown} data
   * @param {number} nowMs
   */
  receive(data, nowMs) {
    const message = parse(data);
    if (message?.type === "ping") {
      const pong = { type: "pong", seq: message.seq };
      this.#emit(Number.isFinite(message.ts) ? { ...pong, ts: message.ts } : pong);
    } else if (message?.type === "pong" && this.running) {
      this.#receivePong(message, nowMs);
    }
  }

  /**
   * Send the ping that is due, and give up those that were not answered in time.
   *
   * @param {number} nowMs
   */
  handleTimeout(nowMs) {
    if (!this.running) return;
    if (this.#coldUntilMs !== null && this.#coldUntilMs <= nowMs) this.#beginMeasuring(nowMs);
    if (this.#nextPingMs !== null && this.#nextPingMs <= nowMs) this.#sendDue(this.#nextPingMs, nowMs);
    for (const ping of this.#pings.values()) {
      if (ping.rttMs === null && ping.sentMs + PING_TIMEOUT_MS <= nowMs) ping.lost = true;
    }
    this.#judge(nowMs);
  }

  /** When {@link handleTimeout} is due, or `null`. */
  nextTimeout() {
    if (!this.running) return null;
    const open = [...this.#pings.values()].filter((ping) => !isSettled(ping));
    const times = [this.#coldUntilMs, this.#nextPingMs, ...open.map(({ sentMs }) => sentMs + PING_TIMEOUT_MS)];
    const due = Math.min(...times.filter((time) => time !== null));
    return Number.isFinite(due) ? due : null;
  }

  /** The next thing to carry out, or `null`. */
  poll() {
    return this.#outputs.shift() ?? null;
  }

  /**
   * @param {{ seq: number, held_us?: number }} pong
   * @param {number} nowMs
   */
  #receivePong({ seq, held_us: heldUs }, nowMs) {
    if (this.#coldUntilMs !== null) {
      if (this.#warmUps.has(seq)) this.#beginMeasuring(nowMs);
      return;
    }
    const ping = this.#pings.get(seq);
    if (ping === undefined || isSettled(ping)) return;
    if (ping.sentMs + PING_TIMEOUT_MS <= nowMs) {
      ping.lost = true;
    } else {
      const heldMs = Number.isFinite(heldUs) ? Math.min(Math.max(0, Number(heldUs) / 1000), MOST_HELD_MS) : 0;
      ping.rttMs = Math.max(0, nowMs - ping.sentMs - heldMs);
    }
    this.#judge(nowMs);
  }

  /** @param {number} nowMs */
  #beginMeasuring(nowMs) {
    this.#coldUntilMs = null;
    this.#nextPingMs = nowMs;
  }

  /**
   * @param {number} dueMs
   * @param {number} nowMs
   */
  #sendDue(dueMs, nowMs) {
    const seq = this.#sendPing(nowMs);
    if (this.#coldUntilMs !== null) {
      this.#warmUps.add(seq);
      this.#nextPingMs = nowMs + WARM_UP_INTERVAL_MS;
      return;
    }
    this.#pings.set(seq, { sentMs: nowMs, rttMs: null, lost: false });
    const laterMs = Math.max(dueMs + PING_INTERVAL_MS, nowMs + PING_INTERVAL_MS / 2);
    this.#nextPingMs = this.#pings.size < this.#goal ? laterMs : null;
  }

  /** @param {number} nowMs */
  #sendPing(nowMs) {
    const seq = this.#nextSeq++;
    this.#emit({ type: "ping", seq, ts: Math.trunc(nowMs) });
    return seq;
  }

  /** @param {object} message */
  #emit(message) {
    this.#outputs.push({ text: JSON.stringify(message) });
  }

  /**
   * End the burst, or make it longer, at the points where that can be decided.
   *
   * @param {number} nowMs
   */
  #judge(nowMs) {
    const pings = [...this.#pings.values()];
    for (const count of [...CHECKPOINTS, this.#goal]) {
      const first = pings.slice(0, count);
      if (first.length < count || !first.every(isSettled)) return;
      if (isEnough(answered(first), count, this.#thresholdMs)) {
        this.#finish(answered(first), count);
        return;
      }
    }
    this.#goal = MORE_PINGS;
    this.#nextPingMs = Math.max(nowMs, pings[pings.length - 1].sentMs + PING_INTERVAL_MS);
  }

  /**
   * @param {number[]} samplesMs
   * @param {number} count
   */
  #finish(samplesMs, count) {
    this.#goal = 0;
    this.#outputs.push({ statistics: statistics(samplesMs, count, straddles(samplesMs, this.#thresholdMs)) });
  }
}

/** @param {Ping} ping */
function isSettled({ rttMs, lost }) {
  return lost || rttMs !== null;
}

/** @param {Ping[]} pings */
function answered(pings) {
  return pings.map(({ rttMs }) => rttMs).filter((rttMs) => rttMs !== null);
}

/**
 * Tell whether a burst may end after `count` pings, of which these were answered.
 *
 * @param {number[]} samplesMs
 * @param {number} count
 * @param {number | null} thresholdMs
 */
export function isEnough(samplesMs, count, thresholdMs) {
  if (count >= MORE_PINGS) return true;
  if (count >= PINGS) return thresholdMs === null || !straddles(samplesMs, thresholdMs);
  const interval = medianInterval(samplesMs);
  if (!CHECKPOINTS.includes(count) || interval === null) return false;
  if (thresholdMs !== null) return !straddles(samplesMs, thresholdMs);
  return interval[1] - interval[0] <= 2 * (TOLERANCE_MS + TOLERANCE * median(samplesMs));
}

/**
 * Tell whether the samples leave open on which side of the threshold the median lies.
 *
 * @param {number[]} samplesMs
 * @param {number | null} thresholdMs
 */
export function straddles(samplesMs, thresholdMs) {
  const interval = medianInterval(samplesMs);
  if (thresholdMs === null || interval === null) return false;
  return interval[0] <= thresholdMs && thresholdMs < interval[1];
}

/**
 * The narrowest pair of order statistics that holds the median with at least 90 % probability; `null` with fewer
 * than 5 samples.
 *
 * @param {number[]} samplesMs
 * @returns {[number, number] | null}
 */
export function medianInterval(samplesMs) {
  const count = samplesMs.length;
  let rank = 0;
  let outside = 0;
  for (let ways = 1; rank < count >> 1; rank += 1) {
    outside += (2 * ways) / 2 ** count;
    if (outside > 1 - CONFIDENCE) break;
    ways = (ways * (count - rank)) / (rank + 1); // of choosing one more: stays a whole number
  }
  if (rank === 0) return null;
  const ordered = sorted(samplesMs);
  return [ordered[rank - 1], ordered[count - rank]];
}

/**
 * @param {number[]} samplesMs
 * @param {number} count
 * @param {boolean} borderline
 * @returns {PingStatistics}
 */
export function statistics(samplesMs, count, borderline = false) {
  const medianMs = samplesMs.length > 0 ? median(samplesMs) : null;
  return {
    samplesMs,
    count,
    loss: count > 0 ? (count - samplesMs.length) / count : 0,
    borderline,
    medianMs,
    jitterMs: medianMs === null ? null : median(samplesMs.map((rtt) => Math.abs(rtt - medianMs))),
  };
}

/** @param {number[]} values */
function median(values) {
  const ordered = sorted(values);
  const middle = ordered.length >> 1;
  return ordered.length % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
}

/** @param {number[]} values */
function sorted(values) {
  return [...values].sort((a, b) => a - b);
}

/** @param {unknown} data */
function parse(data) {
  if (typeof data !== "string" || data.length > MAX_TEXT_CHARS) return null;
  try {
    const message = JSON.parse(data);
    return Number.isSafeInteger(message?.seq) ? message : null;
  } catch {
    return null;
  }
}
