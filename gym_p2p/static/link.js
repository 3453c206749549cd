/**
 * One peer: offer, answer and candidates, and the game channel that comes of them.
 *
 * Who offers is decided by the ids, a rule under which both may offer or neither may, so:
 *
 * - Whoever expects an offer and gets none in 2 s sends its own.
 * - When both have offered, a page gives way to a Python player, whose offer stands. Between two pages with this
 *   module the one that {@link keeps} stands. Towards any other page ours stands, for such a page gives way; only
 *   an offer that goes unanswered through two repetitions gives way itself.
 * - Offers are repeated until answered, and the same offer again gets the same answer again.
 * - To give way is to go on with a fresh connection: a rolled back one would open its own game channel as well.
 *
 * Knows RTCPeerConnection. Refuses to know how signals travel and what goes over the channel.
 */

import { GymP2PError } from "./errors.js";
import { initiates, keeps } from "./initiator.js";
import { readPath } from "./latency.js";

const OFFER_PATIENCE_MS = 2000;
const REPEAT_INTERVAL_MS = 2000;
const REPEATS_BEFORE_YIELDING = 2;
const MAX_EARLY_CANDIDATES = 64;

/** @type {ChannelName[]} */
const CHANNELS = ["game", "ctrl"];
/** @type {Record<ChannelName, RTCDataChannelInit>} */
const RELIABILITY = { game: { ordered: false, maxRetransmits: 0 }, ctrl: { ordered: true } };
const IDS = { game: 1000, ctrl: 1001 }; // `gym_p2p/net/webrtc/channels.py` has the same

/**
 * @typedef {import("./initiator.js").PlayerId} PlayerId
 * @typedef {"offer" | "answer" | "ice-candidate"} SignalType
 * @typedef {"game" | "ctrl"} ChannelName  what is sent over `ctrl` arrives, and in order.
 * @typedef {"idle" | "expecting" | "offered" | "answered" | "settled"} State
 *
 * @typedef {object} LinkOptions
 * @property {PlayerId} localId
 * @property {PlayerId} remoteId
 * @property {string | null} [remoteClient]  the software of the other side, by its own account.
 * @property {RTCIceServer[]} [iceServers]
 * @property {boolean} [relayOnly]  let no address of ours but a relay's leave this page.
 * @property {boolean} [negotiated]  both sides create the channels `game` and `ctrl`, by ids that are agreed on, as
 *   two Python players do; else there is `game` alone, created by who offers.
 * @property {number} [timeoutMs]  how long `connect` may take.
 * @property {(type: SignalType, payload: any) => void} sendSignal
 * @property {(data: string | ArrayBuffer, channel: ChannelName) => void} [onMessage]
 * @property {(reason: string) => void} [onClose]  called once when an open link has closed, by whomever.
 */

export class PeerLink {
  /** @type {LinkOptions} */ #options;
  /** @type {RTCPeerConnection} */ #pc;
  /** @type {Map<ChannelName, RTCDataChannel>} */ #channels = new Map();
  /** @type {State} */ #state = "idle";
  /** @type {RTCSessionDescriptionInit | null} */ #heldOffer = null;
  /** What was sent and applied, to the letter: a browser's own descriptions change as candidates come. */
  /** @type {RTCSessionDescriptionInit | null} */ #local = null;
  /** @type {RTCSessionDescriptionInit | null} */ #remote = null;
  /** @type {RTCIceCandidateInit[]} */ #early = [];
  #repeats = 0;
  #open = false;
  #closed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #due;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #deadline;
  /** @type {Promise<void>} */ #work = Promise.resolve();
  /** @type {Promise<void>} */ #opened;
  /** @type {() => void} */ #resolveOpened = () => {};
  /** @type {(error: Error) => void} */ #rejectOpened = () => {};

  /** @param {LinkOptions} options */
  constructor(options) {
    this.#options = options;
    this.#opened = new Promise((resolve, reject) => {
      this.#resolveOpened = resolve;
      this.#rejectOpened = reject;
    });
    this.#opened.catch(() => {}); // whoever awaits `connect` hears of it
    this.#pc = this.#makeConnection();
  }

  /** Whether the game channel carries. */
  get isOpen() {
    return this.#open && !this.#closed;
  }

  /** W3C's `RTCPeerConnectionState`, so that telemetry can poll a link. */
  get connectionState() {
    return this.#pc.connectionState;
  }

  /** Whose offer the connection is made of; `null` while that is not known. */
  get role() {
    if (this.#state === "settled") return "offerer";
    return this.#state === "answered" ? "answerer" : null;
  }

  getStats() {
    return this.#pc.getStats();
  }

  /** The path in use, or `null`. */
  async path() {
    return readPath(await this.#pc.getStats());
  }

  /**
   * Resolve when the game channel is open; rejects with {@link GymP2PError} when it is closed before, or in
   * time. Calling it again waits for the same.
   */
  connect() {
    if (this.#state === "idle" && this.#deadline === undefined && !this.#closed) {
      const timeoutMs = this.#options.timeoutMs ?? 15_000;
      const late = `no connection within ${timeoutMs / 1000} s`;
      this.#deadline = setTimeout(() => this.#end(new GymP2PError("timeout", late)), timeoutMs);
      this.#enqueue(() => this.#begin());
    }
    return this.#opened;
  }

  /**
   * Take in a signal of the peer, also before `connect`. One that makes no sense is dropped.
   *
   * @param {SignalType} type
   * @param {any} payload
   */
  receiveSignal(type, payload) {
    if (type === "offer") this.#enqueue(() => this.#receiveOffer({ type, sdp: payload?.sdp }));
    else if (type === "answer") this.#enqueue(() => this.#receiveAnswer({ type, sdp: payload?.sdp }));
    else if (type === "ice-candidate") this.#enqueue(() => this.#receiveCandidate(payload));
  }

  /** Bytes that wait to be sent. While there are some, what else is sent comes late. */
  get bufferedAmount() {
    return this.#channels.get("game")?.bufferedAmount ?? 0;
  }

  /**
   * Send a message of at most 1,160 bytes, which may get lost; false when the link is not open.
   *
   * @param {string | ArrayBuffer | Uint8Array<ArrayBuffer>} data
   * @param {ChannelName} name  `ctrl`, of a negotiated link, loses nothing.
   */
  send(data, name = "game") {
    const channel = this.#channels.get(name);
    if (!this.isOpen || channel?.readyState !== "open") return false;
    channel.send(/** @type {any} */ (data));
    return true;
  }

  /** Close the link, in whatever state. Idempotent. */
  close() {
    this.#end(new GymP2PError("closed", "the link was closed"));
  }

  // ---- the negotiation: one thing at a time, in the order in which it came

  /** @param {() => Promise<void> | void} work */
  #enqueue(work) {
    this.#work = this.#work
      .then(() => (this.#closed ? undefined : work()))
      .catch((error) => {
        if (!this.#closed) console.warn(`a signal of ${this.#options.remoteId} could not be used: ${error}`);
      });
  }

  #begin() {
    if (this.#state !== "idle") return;
    if (this.#heldOffer !== null) return this.#answer(this.#heldOffer);
    if (initiates(this.#options.localId, this.#options.remoteId) === true) return this.#offer();
    this.#expect();
  }

  #expect() {
    this.#state = "expecting";
    this.#wake(OFFER_PATIENCE_MS, () => (this.#state === "expecting" ? this.#offer() : undefined));
  }

  async #offer() {
    if (!this.#options.negotiated) this.#takeChannel(this.#pc.createDataChannel("game", RELIABILITY.game));
    await this.#describe();
    this.#state = "offered";
    this.#sendDescription();
    this.#wake(REPEAT_INTERVAL_MS, () => this.#repeatOffer());
  }

  #repeatOffer() {
    if (this.#state !== "offered") return;
    if (this.#heldOffer !== null && this.#repeats >= REPEATS_BEFORE_YIELDING) {
      return this.#yieldTo(this.#heldOffer);
    }
    this.#repeats += 1;
    this.#sendDescription();
    this.#wake(REPEAT_INTERVAL_MS, () => this.#repeatOffer());
  }

  /** @param {RTCSessionDescriptionInit} offer */
  async #receiveOffer(offer) {
    if (this.#state === "idle") {
      this.#heldOffer = offer;
    } else if (this.#state === "expecting") {
      await this.#answer(offer);
    } else if (this.#state === "offered") {
      if (this.#offerStands()) this.#heldOffer = offer;
      else await this.#yieldTo(offer);
    } else if (offer.sdp === this.#remote?.sdp) {
      this.#sendDescription();
    } else if (sameMachine(offer.sdp, this.#remote?.sdp)) {
      await this.#answer(offer); // an ICE restart
    } else if (!this.#open && this.#state === "answered") {
      await this.#yieldTo(offer);
    }
  }

  #offerStands() {
    const { localId, remoteId, remoteClient } = this.#options;
    if (remoteClient?.startsWith("gym_p2p/")) return false;
    return remoteClient?.startsWith("gym_p2p.js/") ? keeps(localId, remoteId) : true;
  }

  /** @param {RTCSessionDescriptionInit} offer */
  async #yieldTo(offer) {
    this.#discard();
    this.#pc = this.#makeConnection();
    await this.#answer(offer);
  }

  /** @param {RTCSessionDescriptionInit} offer */
  async #answer(offer) {
    this.#heldOffer = null;
    try {
      await this.#pc.setRemoteDescription(offer);
    } catch (error) {
      if (this.#state !== "answered") this.#expect();
      throw error;
    }
    this.#remote = offer;
    await this.#addEarlyCandidates();
    await this.#describe();
    this.#state = "answered";
    clearTimeout(this.#due);
    this.#sendDescription();
  }

  /** @param {RTCSessionDescriptionInit} answer */
  async #receiveAnswer(answer) {
    if (this.#state !== "offered") return;
    this.#state = "settled"; // the channel may be open before the promise below is kept
    try {
      await this.#pc.setRemoteDescription(answer);
    } catch (error) {
      this.#state = "offered";
      throw error;
    }
    this.#remote = answer;
    clearTimeout(this.#due);
    await this.#addEarlyCandidates();
  }

  /** @param {RTCIceCandidateInit | null} candidate */
  async #receiveCandidate(candidate) {
    if (!candidate?.candidate) return; // the end of candidates
    if (this.#belongs(candidate)) await this.#pc.addIceCandidate(candidate);
    else this.#early = [...this.#early, candidate].slice(-MAX_EARLY_CANDIDATES);
  }

  async #addEarlyCandidates() {
    const candidates = this.#early.filter((candidate) => this.#belongs(candidate));
    this.#early = this.#early.filter((candidate) => !candidates.includes(candidate));
    for (const candidate of candidates) await this.#pc.addIceCandidate(candidate);
  }

  /** @param {RTCIceCandidateInit} candidate */
  #belongs({ usernameFragment }) {
    const ufrag = this.#remote?.sdp?.match(/^a=ice-ufrag:(\S+)/m);
    return ufrag != null && (!usernameFragment || usernameFragment === ufrag[1]);
  }

  async #describe() {
    await this.#pc.setLocalDescription();
    const { type, sdp } = /** @type {RTCSessionDescription} */ (this.#pc.localDescription);
    this.#local = { type, sdp };
  }

  #sendDescription() {
    if (this.#local === null || this.#closed) return;
    this.#options.sendSignal(/** @type {SignalType} */ (this.#local.type), this.#local);
  }

  /**
   * @param {number} delayMs
   * @param {() => Promise<void> | void} work
   */
  #wake(delayMs, work) {
    clearTimeout(this.#due);
    this.#due = setTimeout(() => this.#enqueue(work), delayMs);
  }

  // ---- the connection

  #makeConnection() {
    const { iceServers = [], relayOnly = false, sendSignal } = this.#options;
    const pc = new RTCPeerConnection({ iceServers, iceTransportPolicy: relayOnly ? "relay" : "all" });
    pc.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) sendSignal("ice-candidate", candidate.toJSON());
    };
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === "failed") this.#end(new GymP2PError("failed", "no path to the peer"));
    };
    pc.ondatachannel = ({ channel }) => {
      if (channel.label === "game" && !this.#channels.has("game")) this.#takeChannel(channel);
    };
    if (this.#options.negotiated) {
      for (const name of CHANNELS) {
        this.#takeChannel(pc.createDataChannel(name, { ...RELIABILITY[name], negotiated: true, id: IDS[name] }));
      }
    }
    return pc;
  }

  /** @param {RTCDataChannel} channel */
  #takeChannel(channel) {
    const name = /** @type {ChannelName} */ (channel.label);
    this.#channels.set(name, channel);
    channel.binaryType = "arraybuffer";
    channel.onmessage = ({ data }) => this.#options.onMessage?.(data, name);
    channel.onclose = () => this.#end(new GymP2PError("closed", "the peer closed the channel"));
    channel.onopen = () => this.#noteOpen();
    if (channel.readyState === "open") this.#noteOpen();
  }

  #noteOpen() {
    if (this.#open || ![...this.#channels.values()].every((channel) => channel.readyState === "open")) return;
    this.#open = true;
    clearTimeout(this.#deadline);
    this.#resolveOpened();
  }

  /** Let go of the connection without hearing of it again. */
  #discard() {
    const pc = this.#pc;
    pc.onicecandidate = pc.onconnectionstatechange = pc.ondatachannel = null;
    for (const channel of this.#channels.values()) channel.onmessage = channel.onclose = channel.onopen = null;
    this.#channels.clear();
    this.#local = this.#remote = null;
    pc.close();
  }

  /** @param {GymP2PError} error */
  #end(error) {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#due);
    clearTimeout(this.#deadline);
    this.#discard();
    if (this.#open) this.#options.onClose?.(error.message);
    else this.#rejectOpened(error);
  }
}

/**
 * Tell whether two descriptions are of one connection: its certificate stays, whatever path it takes.
 *
 * @param {string | undefined} one
 * @param {string | undefined} other
 */
function sameMachine(one, other) {
  const fingerprint = /^a=fingerprint:.*$/im;
  const [first, second] = [one?.match(fingerprint), other?.match(fingerprint)];
  return first != null && second != null && first[0] === second[0];
}
