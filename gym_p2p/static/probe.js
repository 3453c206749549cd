/**
 * Takes part in the probes that the service requests: prepare, ready, start, measure, report, close.
 *
 * One probe at a time, and each is an object of its own that can only report under its own id. The channel
 * stays open until the service announces that both have reported, for the other side may still be measuring. Refuses
 * to know why the service wants the figure.
 */

import { PeerLink } from "./link.js";
import { PingBurst } from "./ping.js";

const CONNECT_TIMEOUT_MS = 10_000; // below the 12 s after which the service gives up
const GRACE_MS = 2000;
const LONGEST_MS = 20_000; // above the service's 18 s: one that it has forgotten ends by itself

/**
 * @typedef {object} ProbeResult  What one probe came to, as this side knows it.
 * @property {string} probeSessionId
 * @property {string} peerSubjectId
 * @property {import("./ping.js").PingStatistics | null} statistics
 * @property {string | null} failure  why we could not measure, a short fixed text; `null` when we could.
 * @property {{ reason: string, rtt_ms: number | null } | null} verdict  what the service made of both reports;
 *     `null` when it sent none.
 */

export class ProbeManager {
  #line;
  #onResult;
  /** @type {Probe | null} */ #active = null;
  #closed = false;

  /**
   * @param {import("./line.js").ServiceLine} line
   * @param {(result: ProbeResult) => void} [onResult]  called with every probe that ended, but for those that a
   *     newer one replaced.
   */
  constructor(line, onResult) {
    this.#line = line;
    this.#onResult = onResult;
    line.on("probe_prepare", (data) => this.#prepare(data));
    line.on("probe_start", (data) => this.#find(data)?.start());
    line.on("probe_signal", (data) => this.#find(data)?.link.receiveSignal(data.type, data.payload));
    line.on("probe_verdict", (data) => this.#find(data)?.end(data));
    line.on("probe_cancel", (data) => this.#find(data)?.end(data));
  }

  /** End the probe that is under way, and take part in no other. Idempotent. */
  close() {
    this.#closed = true;
    this.#active?.close();
    this.#active = null;
  }

  /** @param {any} data */
  #find(data) {
    return this.#active?.id === data?.probe_session_id ? this.#active : null;
  }

  /** @param {any} prepare */
  #prepare(prepare) {
    if (this.#closed) return;
    if (this.#find(prepare) === null) {
      this.#active?.close();
      const probe = new Probe(this.#line, prepare);
      this.#active = probe;
      probe.run().then((result) => {
        if (this.#active !== probe) return;
        this.#active = null;
        this.#onResult?.(result);
      });
    }
    this.#line.emit("probe_ready", { probe_session_id: prepare.probe_session_id });
  }
}

class Probe {
  #line;
  #peer;
  #burst;
  /** @type {() => void} */ #start = () => {};
  /** @type {Promise<void>} */ #started;
  /** @type {(verdict: any) => void} */ #end = () => {};
  /** @type {Promise<any>} */ #ended;
  #closed = false;

  /**
   * @param {import("./line.js").ServiceLine} line
   * @param {any} prepare
   */
  constructor(line, prepare) {
    this.id = prepare.probe_session_id;
    this.#line = line;
    this.#peer = prepare.peer_subject_id;
    this.#started = new Promise((resolve) => {
      this.#start = resolve;
    });
    this.#ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const link = new PeerLink({
      localId: line.subjectId,
      remoteId: this.#peer,
      remoteClient: prepare.peer_client,
      iceServers: prepare.ice_servers ?? [],
      relayOnly: prepare.relay_only ?? false,
      timeoutMs: CONNECT_TIMEOUT_MS,
      sendSignal: (type, payload) =>
        this.#emit("probe_signal", { target_subject_id: this.#peer, type, payload }),
      onMessage: (data) => this.#burst.receive(data),
      onClose: () => this.#burst.stop(),
    });
    this.link = link;
    this.#burst = new PingBurst((text) => link.send(text), { thresholdMs: prepare.threshold_ms ?? null });
  }

  start() {
    this.#start();
  }

  /** @param {any} verdict  by which the service ends it */
  end(verdict) {
    this.#end(verdict);
  }

  /** Give it up: nothing is reported any more. Idempotent. */
  close() {
    this.#closed = true;
    this.#end(null);
    this.link.close();
  }

  /**
   * Carry it through; never rejects.
   *
   * @returns {Promise<ProbeResult>}
   */
  async run() {
    const over = this.#ended.then((verdict) => ({ statistics: null, failure: verdict?.reason ?? "closed" }));
    const late = after(LONGEST_MS, { statistics: null, failure: "deadline" });
    const found = await Promise.race([this.#measure(), over, late.promise]);
    late.cancel();
    const grace = after(GRACE_MS, null);
    const verdict = await Promise.race([this.#ended, grace.promise]);
    grace.cancel();
    this.close();
    return { probeSessionId: this.id, peerSubjectId: this.#peer, ...found, verdict };
  }

  /** Measure and report, whatever came of it. */
  async #measure() {
    await this.#started;
    let statistics = null;
    let path = null;
    let failure = null;
    try {
      await this.link.connect();
      statistics = await this.#burst.measure();
      path = await this.link.path().catch(() => null);
      if (statistics.medianMs === null) failure = this.link.isOpen ? "no_answers" : "channel_closed";
    } catch {
      failure = "not_connected";
    }
    this.#emit("probe_result", {
      rtt_ms: statistics?.medianMs ?? null,
      success: failure === null,
      samples_ms: statistics?.samplesMs ?? [],
      jitter_ms: statistics?.jitterMs ?? null,
      loss: statistics?.loss ?? null,
      path: path && {
        local: path.localCandidateType,
        remote: path.remoteCandidateType,
        protocol: path.protocol,
        relay_protocol: path.relayProtocol,
      },
      failure,
    });
    return { statistics, failure };
  }

  /**
   * @param {string} event
   * @param {object} fields
   */
  #emit(event, fields) {
    if (!this.#closed) this.#line.emit(event, { probe_session_id: this.id, ...fields });
  }
}

/**
 * @template T
 * @param {number} ms
 * @param {T} value
 */
function after(ms, value) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const promise = new Promise((/** @type {(value: T) => void} */ resolve) => {
    timer = setTimeout(() => resolve(value), ms);
  });
  return { promise, cancel: () => clearTimeout(timer) };
}
