/**
 * The latency of a peer connection, polled about once a second: the same figures, under the same names, as the
 * Python side's.
 *
 * Knows W3C's webrtc-stats and the arithmetic over round trips. Refuses to know what is played.
 */

const SOURCE = "candidate-pair.currentRoundTripTime";
const MAX_MEASURED_RTT_MS = 3_600_000;
const MAX_OUTAGES = 1000;
const JITTER_GAIN = 1 / 16; // RFC 3550, 6.4.1

/**
 * @typedef {object} RoundTrip  The selected pair's newest round trip; `null` counters are unknown.
 * @property {number} rttMs
 * @property {string} pairId
 * @property {number | null} responsesReceived
 * @property {number | null} requestsSent
 *
 * @typedef {object} Path  In W3C's words; `null` is unknown.
 * @property {"direct" | "relay" | "unknown"} type
 * @property {string | null} localCandidateType
 * @property {string | null} remoteCandidateType
 * @property {string | null} protocol
 * @property {string | null} relayProtocol
 *
 * @typedef {"fresh" | "stale" | "unanswered" | "no_pair" | "disconnected" | "failed"} PollStatus
 *
 * @typedef {object} Poll
 * @property {number} timestampMs  Unix time.
 * @property {number | null} rttMs  `null` in every status but `fresh`.
 * @property {PollStatus} status
 * @property {Path | null} connection
 */

/**
 * @param {Map<string, any>} report  what `getStats()` returned
 * @returns {any | null} the selected candidate pair
 */
function selectedPair(report) {
  for (const entry of report.values()) {
    if (entry.type === "transport" && entry.selectedCandidatePairId) {
      return report.get(entry.selectedCandidatePairId) ?? null;
    }
  }
  return null;
}

/**
 * @param {any} report
 * @returns {RoundTrip | null}
 */
export function readRoundTrip(report) {
  const pair = selectedPair(report);
  const rttMs = typeof pair?.currentRoundTripTime === "number" ? pair.currentRoundTripTime * 1000 : NaN;
  if (!(rttMs >= 0 && rttMs <= MAX_MEASURED_RTT_MS)) return null;
  const requests = pair.requestsSent;
  return {
    rttMs,
    pairId: String(pair.id),
    responsesReceived: pair.responsesReceived ?? null,
    // Chromium counts the checks of consent (RFC 7675) apart.
    requestsSent: requests === undefined ? null : requests + (pair.consentRequestsSent ?? 0),
  };
}

/**
 * @param {any} report
 * @returns {Path | null}
 */
export function readPath(report) {
  const pair = selectedPair(report);
  if (pair === null) return null;
  const local = report.get(pair.localCandidateId);
  const types = [local?.candidateType ?? null, report.get(pair.remoteCandidateId)?.candidateType ?? null];
  return {
    type: types.includes("relay") ? "relay" : types.includes(null) ? "unknown" : "direct",
    localCandidateType: types[0],
    remoteCandidateType: types[1],
    protocol: local?.protocol ?? null,
    relayProtocol: local?.relayProtocol ?? null,
  };
}

/**
 * Tells a new measurement from one that a report merely repeats: browsers check a pair every 2.5 s or so. A
 * reading that is not new is unanswered if a request was under way at the poll before already.
 */
class Freshness {
  /** @type {Map<string, number>} */ #answered = new Map();
  /** @type {number | null} */ #requestsAtAnswer = null;
  /** @type {number | null} */ #requests = null;
  #repeated = false;

  /**
   * @param {RoundTrip} reading
   * @returns {PollStatus}
   */
  classify(reading) {
    const count = reading.responsesReceived;
    const fresh = count === null || count > (this.#answered.get(reading.pairId) ?? 0);
    if (count !== null) this.#answered.set(reading.pairId, count);
    if (fresh) {
      this.#requests = this.#requestsAtAnswer = reading.requestsSent;
      this.#repeated = false;
      return "fresh";
    }
    const overdue =
      this.#requests === null || this.#requestsAtAnswer === null ? this.#repeated : this.#requests > this.#requestsAtAnswer;
    this.#requests = reading.requestsSent;
    this.#repeated = true;
    return overdue ? "unanswered" : "stale";
  }
}

/** The round trips of one connection: the newest `maxSamples` as they came, all of them as two numbers each. */
export class LatencySeries {
  /** @type {Array<{ timestamp: number, rttMs: number }>} */ #samples = [];
  /** @type {number[]} */ #allTimes = [];
  /** @type {number[]} */ #allRtts = [];
  /** @type {Array<{ startMs: number, endMs: number | null }>} */ #outages = [];
  #endedOutages = 0;
  /** @type {number | null} */ #outageSinceMs = null;
  /** @type {number | null} */ #firstMissMs = null;
  #total = 0;
  #missed = 0;
  #withoutPair = 0;
  #jitterMs = 0;
  #maxSamples;

  /** @param {number} maxSamples */
  constructor(maxSamples = 600) {
    this.#maxSamples = maxSamples;
  }

  /** @param {Poll} poll */
  add(poll) {
    if (poll.status === "fresh" && poll.rttMs !== null) this.#record(poll.timestampMs, poll.rttMs);
    else {
      if (poll.status === "no_pair") this.#withoutPair += 1;
      this.#miss(poll.timestampMs, poll.status !== "stale" && poll.status !== "no_pair");
    }
  }

  /** Copies of the retained samples, oldest first. */
  samples() {
    return this.#samples.map((sample) => ({ ...sample }));
  }

  /**
   * JSON-ready statistics of the retained samples, or `null` without a sample; where that is because the reports
   * hold no candidate pair, every figure is `null` and `withoutPair` says how many.
   */
  statistics() {
    const measured = this.#samples.length > 0;
    if (!measured && this.#withoutPair === 0) return null;
    const outages = this.#outages.map((outage) => ({ ...outage }));
    if (this.#outageSinceMs !== null) outages.push({ startMs: this.#outageSinceMs, endMs: null });
    const jitterMs = measured ? this.#jitterMs : null;
    const totalOutages = this.#endedOutages + (this.#outageSinceMs === null ? 0 : 1);
    return {
      ...summary(this.#samples.map((sample) => sample.rttMs)),
      jitterMs,
      polls: this.#total + this.#missed,
      missed: this.#missed,
      totalSamples: this.#total,
      outages,
      totalOutages,
      source: SOURCE,
      samples: this.samples(),
      series: measured ? this.#shortForm() : null,
      overall: measured ? { ...summary(this.#allRtts), jitterMs } : null,
      truncated: this.#total > this.#samples.length || totalOutages > outages.length,
      withoutPair: this.#withoutPair,
    };
  }

  #shortForm() {
    const startMs = this.#allTimes[0];
    return {
      encoding: "delta-varint-base64",
      startMs,
      t: encodeSeries(this.#allTimes.map((timeMs) => timeMs - startMs)),
      rtt: encodeSeries(this.#allRtts.map((rttMs) => Math.floor(10 * rttMs + 0.5))),
      samples: this.#allRtts.length,
    };
  }

  /**
   * @param {number} timestampMs
   * @param {number} rttMs
   */
  #record(timestampMs, rttMs) {
    const last = this.#samples.at(-1);
    if (last !== undefined) this.#jitterMs += (Math.abs(rttMs - last.rttMs) - this.#jitterMs) * JITTER_GAIN;
    if (this.#outageSinceMs !== null) {
      this.#outages.push({ startMs: this.#outageSinceMs, endMs: Math.max(this.#outageSinceMs, timestampMs) });
      if (this.#outages.length > MAX_OUTAGES) this.#outages.shift();
      this.#endedOutages += 1;
    }
    this.#outageSinceMs = this.#firstMissMs = null;
    this.#total += 1;
    this.#allTimes.push(timestampMs);
    this.#allRtts.push(rttMs);
    this.#samples.push({ timestamp: timestampMs, rttMs });
    if (this.#samples.length > this.#maxSamples) this.#samples.shift();
  }

  /**
   * @param {number} timestampMs
   * @param {boolean} unanswered
   */
  #miss(timestampMs, unanswered) {
    this.#missed += 1;
    this.#firstMissMs ??= timestampMs;
    if (unanswered) this.#outageSinceMs ??= this.#firstMissMs;
  }
}

/**
 * The encoding `delta-varint-base64`: successive differences, zigzag-coded, in groups of seven bits, base64.
 *
 * @param {number[]} numbers whole
 */
function encodeSeries(numbers) {
  let bytes = "";
  let before = 0;
  for (const number of numbers) {
    const delta = number - before;
    let rest = delta >= 0 ? 2 * delta : -2 * delta - 1;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes += String.fromCharCode((rest % 0x80) + 0x80);
    bytes += String.fromCharCode(rest);
    before = number;
  }
  return btoa(bytes);
}

/** @param {number[]} values  of none every figure is `null`. */
function summary(values) {
  const ordered = [...values].sort((a, b) => a - b);
  const count = ordered.length;
  if (count === 0) {
    const none = { minMs: null, maxMs: null, meanMs: null, medianMs: null, p90Ms: null, p95Ms: null, p99Ms: null };
    return { sampleCount: 0, ...none, stdDevMs: null };
  }
  const mean = ordered.reduce((sum, value) => sum + value, 0) / count;
  const squares = ordered.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    sampleCount: count,
    minMs: ordered[0],
    maxMs: ordered[count - 1],
    meanMs: mean,
    medianMs: percentile(ordered, 0.5),
    p90Ms: percentile(ordered, 0.9),
    p95Ms: percentile(ordered, 0.95),
    p99Ms: percentile(ordered, 0.99),
    stdDevMs: Math.sqrt(squares / count),
  };
}

/**
 * Linear between the two nearest ranks (Hyndman and Fan's type 7).
 *
 * @param {number[]} ordered
 * @param {number} share
 */
function percentile(ordered, share) {
  const position = (ordered.length - 1) * share;
  const below = Math.floor(position);
  const above = Math.min(below + 1, ordered.length - 1);
  return ordered[below] + (ordered[above] - ordered[below]) * (position - below);
}

/** Polls a peer connection and keeps what it found. `stop` it with the connection; the samples stay. */
export class LatencyTelemetry {
  #connection;
  #intervalMs;
  #onPoll;
  #series;
  #freshness = new Freshness();
  #wasConnected = false;
  #pairMissed = false;
  #polling = false;
  /** @type {ReturnType<typeof setInterval> | null} */ #timer = null;

  /**
   * @param {{ connectionState: string, getStats(): Promise<any> }} connection
   * @param {object} [options]
   * @param {number} [options.pollIntervalMs]
   * @param {number} [options.maxSamples]
   * @param {(poll: Poll) => void} [options.onPoll]  called with every poll.
   */
  constructor(connection, { pollIntervalMs = 1000, maxSamples = 600, onPoll } = {}) {
    this.#connection = connection;
    this.#intervalMs = pollIntervalMs;
    this.#onPoll = onPoll;
    this.#series = new LatencySeries(maxSamples);
  }

  /** Begin to poll, the first time one interval from now. Does nothing while it runs. */
  start() {
    this.#timer ??= setInterval(() => this.#poll(), this.#intervalMs);
  }

  /** Stop polling and keep the samples. Idempotent. */
  stop() {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  getSamples() {
    return this.#series.samples();
  }

  getStats() {
    return this.#series.statistics();
  }

  async #poll() {
    if (this.#polling) return;
    this.#polling = true;
    try {
      const poll = await this.#take();
      if (poll === null || this.#timer === null) return;
      this.#series.add(poll);
      this.#onPoll?.(poll);
    } finally {
      this.#polling = false;
    }
  }

  /** @returns {Promise<Poll | null>} `null` before the connection was connected for the first time */
  async #take() {
    const timestampMs = Date.now();
    /** @param {PollStatus} status */
    const without = (status) => ({ timestampMs, rttMs: null, status, connection: null });
    if (this.#connection.connectionState !== "connected") {
      return this.#wasConnected ? without("disconnected") : null;
    }
    this.#wasConnected = true;
    let report;
    try {
      report = await this.#connection.getStats();
    } catch {
      return without("failed");
    }
    if (this.#connection.connectionState !== "connected") return without("disconnected");
    if (selectedPair(report) === null) {
      if (!this.#pairMissed) console.warn("gym_p2p: the stats report holds no selected candidate pair: no round trips");
      this.#pairMissed = true;
      return without("no_pair");
    }
    const reading = readRoundTrip(report);
    const status = reading === null ? "stale" : this.#freshness.classify(reading);
    return {
      timestampMs,
      rttMs: reading !== null && status === "fresh" ? reading.rttMs : null,
      status,
      connection: readPath(report),
    };
  }
}
