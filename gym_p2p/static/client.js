/**
 * A page's part at the service: a place in a room or a queue, the match, links to its players, and probes.
 *
 * Knows the events of meeting and signalling. Refuses to know what is played.
 */

import { GymP2PError } from "./errors.js";
import { ServiceLine } from "./line.js";
import { PeerLink } from "./link.js";
import { ProbeManager } from "./probe.js";
import { answerProposal } from "./proposals.js";
import { inQueue, inRoom } from "./seating.js";

const MAX_KEPT_SIGNALS = 256;

/**
 * @typedef {import("./initiator.js").PlayerId} PlayerId
 *
 * @typedef {object} MatchPlayer
 * @property {PlayerId} player_id  their first seat.
 * @property {string} subject_id
 * @property {PlayerId[]} seats
 * @property {string | null} client
 *
 * @typedef {object} Match  As the service announces it.
 * @property {string} match_id
 * @property {string} room
 * @property {PlayerId} player_id  our own.
 * @property {PlayerId[]} seats_taken
 * @property {MatchPlayer[]} players  everyone, ourselves included.
 * @property {number} seed  the same for all, below 2 ** 32.
 * @property {RTCIceServer[]} ice_servers
 * @property {boolean} relay_only
 * @property {string} token  what shows to the service that an uploaded document is this player's.
 * @property {boolean} [uploads]  `false`: the service takes no documents, they stay with the players.
 * @property {string | null} queue  the queue that it came out of; `null` for a room.
 * @property {import("./proposals.js").MatchProbe | null} probe  what was measured before it; `null` for a room.
 *
 * @typedef {object} QueueStatus  Told when it has changed, at most every second, and at least every five.
 * @property {string} queue
 * @property {"waiting" | "probing" | "asking"} state
 * @property {number} waiting  how many are here, this one included.
 * @property {number} wait_s
 * @property {number | null} threshold_ms  the largest round trip by now; `null` if there is no limit.
 * @property {number} probes  those that this page took part in.
 */

/** Why a queue has given up, by its own words. */
const NO_MATCH = new Map([
  ["nobody_else", "nobody else was there, or had no free seat to offer"],
  ["nobody_near_enough", "whoever was there was too far away, or could not be reached"],
  ["refused", "the service's rule refused whoever was there"],
  ["rule_failed", "the service's rule failed; its operator's log says how"],
  ["declined", "whoever was there was declined by a player, or did not answer"],
  ["no_answer", "preMatch did not answer in time, twice"],
]);

export class GymP2PClient {
  /** @type {ServiceLine} */ #line;
  /** @type {ProbeManager} */ #probes;
  /** @type {import("./proposals.js").PreMatch | undefined} */ #preMatch;
  /** @type {import("./seating.js").Seating | null} */ #seating = null;
  /** @type {Match | null} */ #match = null;
  /** @type {Map<PlayerId, PeerLink>} */ #links = new Map();
  /** @type {any[]} */ #kept = [];
  /** @type {GymP2PError | null} */ #failure = null;
  /** @type {Set<() => void>} */ #waiting = new Set();

  /**
   * Begin to register, as soon as the socket is up and again whenever it is up again.
   *
   * @param {import("./line.js").SocketLike} socket  of `socket.io-client`, with `transports: ["websocket"]`. It
   *     stays the page's: `close` does not disconnect it.
   * @param {object} options
   * @param {string} options.subjectId  who this page is: 1 to 128 of `A-Z a-z 0-9 . _ : @ + -`.
   * @param {(left: { match_id: string, player_id: PlayerId, reason: string }) => void} [options.onPeerLeft]
   *     called when the service lost sight of a player; the link to them may well be alive.
   * @param {(status: { room: string, seats_free: PlayerId[] }) => void} [options.onRoomStatus]
   * @param {(told: { place: string, code: string, message: string }) => void} [options.onTurnedAway]  called when
   *     somebody wanted to join us where we wait, and was refused.
   * @param {(status: QueueStatus) => void} [options.onQueueStatus]
   * @param {import("./proposals.js").PreMatch} [options.preMatch]  whether this page accepts a queue's match before it
   *     is made; without it, what the service finds is played. Who refuses stays in the queue until they leave.
   * @param {(result: import("./probe.js").ProbeResult) => void} [options.onProbe]  called after every probe.
   * @param {string} [options.prefix]  before the names of the service's events, where a host has mounted it so.
   */
  constructor(socket, { subjectId, onPeerLeft, onRoomStatus, onTurnedAway, onQueueStatus, preMatch, onProbe, prefix }) {
    this.#preMatch = preMatch;
    this.#line = new ServiceLine(socket, subjectId, prefix);
    this.#probes = new ProbeManager(this.#line, onProbe);
    this.#line.on("match_found", (match) => this.#noteMatch(match));
    this.#line.on("webrtc_signal", (signal) => this.#receiveSignal(signal));
    this.#line.on("connect", () => this.#sitDownAgain());
    this.#line.on("peer_left", (left) => {
      if (left.match_id === this.#match?.match_id) onPeerLeft?.(left);
    });
    this.#line.on("room_status", (status) => onRoomStatus?.(status));
    this.#line.on("turned_away", (told) => onTurnedAway?.(told));
    this.#line.on("queue_status", (status) => onQueueStatus?.(status));
    this.#line.on("match_proposed", (match) => answerProposal(this.#line, preMatch ?? (() => true), match));
    this.#line.on("match_failed", (failed) => this.#noteNoMatch(failed));
    this.#line.onEnd((error) => this.#fail(error));
  }

  /** The match that was found, if any. */
  get match() {
    return this.#match;
  }

  /** Resolve when the service knows who we are; rejects with {@link GymP2PError}. */
  registered() {
    return this.#line.registered();
  }

  /**
   * Take seats in a room; then `waitForMatch`. Rejects with {@link GymP2PError}: `room_full`, `room_mismatch`,
   * `seat_taken` and the like.
   *
   * @param {import("./seating.js").RoomSeating} seating
   * @returns {Promise<{ room: string, player_id: PlayerId, seats_taken: PlayerId[], seats_free: PlayerId[] }>}
   */
  async joinRoom(seating) {
    const joined = await this.#takePlace(inRoom(seating));
    // From now on the seats that we got are the ones to request again.
    this.#seating = inRoom({ ...seating, take: joined.seats_taken });
    return joined;
  }

  /**
   * Wait in a queue, where this page is probed and matched with whoever is near; then `waitForMatch`, which rejects
   * with `nobody_else`, `nobody_near_enough`, `refused`, `rule_failed`, `declined` or `no_answer` when the queue
   * gives up. Rejects with {@link GymP2PError}: `queue_mismatch`, `wrong_state` and the like.
   *
   * @param {import("./seating.js").QueueSeating} seating
   * @returns {Promise<{ queue: string, group_size: number, waiting: number }>}
   */
  async joinQueue(seating) {
    await this.registered();
    const own = { asks: this.#preMatch !== undefined, serviceRttMs: this.#line.serviceRttMs };
    const place = inQueue(seating, own);
    const joined = await this.#takePlace(place);
    this.#seating = place;
    return joined;
  }

  /**
   * Resolve when every seat of the room is taken, or the queue has found a match; rejects with
   * {@link GymP2PError}.
   *
   * @param {number} [timeoutMs]
   * @returns {Promise<Match>}
   */
  waitForMatch(timeoutMs = 300_000) {
    return new Promise((resolve, reject) => {
      const settle = () => {
        if (this.#match === null && this.#failure === null) return;
        clearTimeout(timer);
        this.#waiting.delete(settle);
        if (this.#match !== null) resolve(this.#match);
        else reject(this.#failure);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(settle);
        reject(new GymP2PError("timeout", "the other players have not come"));
      }, timeoutMs);
      this.#waiting.add(settle);
      settle();
    });
  }

  /**
   * Make a link to another player of the match, whose `connect` is the page's to call. Their signals so far are
   * handed to it.
   *
   * @param {PlayerId} playerId
   * @param {Pick<import("./link.js").LinkOptions, "onMessage" | "onClose" | "timeoutMs">} [options]
   */
  linkTo(playerId, options = {}) {
    const match = this.#match;
    const peer = match?.players.find((player) => player.player_id === playerId);
    if (match === null || peer === undefined || playerId === match.player_id) {
      throw new GymP2PError("failed", `no other player ${JSON.stringify(playerId)} is in this match`);
    }
    this.#links.get(playerId)?.close();
    const link = new PeerLink({
      ...options,
      localId: match.player_id,
      remoteId: playerId,
      remoteClient: peer.client,
      iceServers: match.ice_servers,
      relayOnly: match.relay_only,
      sendSignal: (type, payload) =>
        this.#line.emit("webrtc_signal", { game_id: match.match_id, target_player_id: playerId, type, payload }),
    });
    this.#links.set(playerId, link);
    const kept = this.#kept;
    this.#kept = kept.filter((signal) => signal.from_player_id !== playerId);
    for (const signal of kept) if (!this.#kept.includes(signal)) link.receiveSignal(signal.type, signal.payload);
    return link;
  }

  /** Give up the place, whether waiting or playing. */
  async leave() {
    const seating = this.#seating;
    this.#seating = null;
    if (seating === null) return;
    if (this.#match !== null) await this.#line.request("leave_room", { room: this.#match.room });
    else await this.#line.request(...seating.leave);
  }

  /** Close every link and end every probe; the socket stays as it is. Idempotent. */
  close() {
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    this.#probes.close();
    this.#line.close();
  }

  /** @param {import("./seating.js").Seating} seating */
  #takePlace(seating) {
    this.#match = this.#failure = null;
    return this.#line.request(...seating.join);
  }

  /** @param {{ queue: string, reason: string, waited_s: number }} failed */
  #noteNoMatch({ queue, reason, waited_s }) {
    this.#seating = null;
    const why = NO_MATCH.get(reason) ?? reason;
    this.#fail(new GymP2PError(reason, `no match in queue ${queue} after ${waited_s.toFixed(1)} s: ${why}`));
  }

  /** @param {Match} match */
  #noteMatch(match) {
    this.#match = match;
    this.#kept = [];
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    for (const settle of this.#waiting) settle();
  }

  /** @param {any} signal */
  #receiveSignal(signal) {
    if (signal?.game_id !== this.#match?.match_id) return;
    const link = this.#links.get(signal.from_player_id);
    if (link !== undefined) link.receiveSignal(signal.type, signal.payload);
    else if (this.#kept.length < MAX_KEPT_SIGNALS) this.#kept.push(signal);
  }

  /** Ask for the place again if the line broke between joining and the match. */
  async #sitDownAgain() {
    if (this.#seating === null || this.#match !== null) return;
    try {
      await this.#line.request(...this.#seating.join);
    } catch (error) {
      if (error instanceof GymP2PError && error.code !== "unreachable") this.#fail(error);
    }
  }

  /** @param {GymP2PError} error */
  #fail(error) {
    this.#failure = error;
    for (const settle of this.#waiting) settle();
  }
}
