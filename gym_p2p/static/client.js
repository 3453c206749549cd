/**
 * A page's part at the service: taking seats, learning of the match, links to its players, and probes.
 *
 * Knows the events of meeting and signalling. Refuses to know what is played.
 */

import { GymP2PError } from "./errors.js";
import { CLIENT, ServiceLine } from "./line.js";
import { PeerLink } from "./link.js";
import { ProbeManager } from "./probe.js";

const MAX_KEPT_SIGNALS = 256;

/**
 * @typedef {import("./initiator.js").PlayerId} PlayerId
 *
 * @typedef {object} MatchPlayer
 * @property {PlayerId} player_id  his first seat.
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
 *
 * @typedef {object} Seating
 * @property {string} room  any id; who names the same one meets there.
 * @property {PlayerId[]} seats  every seat of the environment, in its order.
 * @property {PlayerId[] | null} [take]  the seats wanted; without it any free one.
 */

export class GymP2PClient {
  /** @type {ServiceLine} */ #line;
  /** @type {ProbeManager} */ #probes;
  /** @type {Seating | null} */ #seating = null;
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
   *     called when the service lost sight of a player; the link to him may well be alive.
   * @param {(status: { room: string, seats_free: PlayerId[] }) => void} [options.onRoomStatus]
   * @param {(result: import("./probe.js").ProbeResult) => void} [options.onProbe]  called after every probe.
   */
  constructor(socket, { subjectId, onPeerLeft, onRoomStatus, onProbe }) {
    this.#line = new ServiceLine(socket, subjectId);
    this.#probes = new ProbeManager(this.#line, onProbe);
    this.#line.on("match_found", (match) => this.#noteMatch(match));
    this.#line.on("webrtc_signal", (signal) => this.#receiveSignal(signal));
    this.#line.on("connect", () => this.#sitDownAgain());
    this.#line.on("peer_left", (left) => {
      if (left.match_id === this.#match?.match_id) onPeerLeft?.(left);
    });
    this.#line.on("room_status", (status) => onRoomStatus?.(status));
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
   * @param {Seating} seating
   * @returns {Promise<{ room: string, player_id: PlayerId, seats_taken: PlayerId[], seats_free: PlayerId[] }>}
   */
  async joinRoom({ room, seats, take = null }) {
    this.#match = this.#failure = null;
    const joined = await this.#line.request("join_room", { room, seats, take, client: CLIENT });
    // From now on the seats that we got are the ones to ask for again.
    this.#seating = { room, seats, take: joined.seats_taken };
    return joined;
  }

  /**
   * Resolve when every seat of the room is taken; rejects with {@link GymP2PError}.
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
        reject(new GymP2PError("timeout", "there are still free seats"));
      }, timeoutMs);
      this.#waiting.add(settle);
      settle();
    });
  }

  /**
   * Make a link to another player of the match, whose `connect` is the page's to call. His signals so far are
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
        this.#line.tell("webrtc_signal", { game_id: match.match_id, target_player_id: playerId, type, payload }),
    });
    this.#links.set(playerId, link);
    const kept = this.#kept;
    this.#kept = kept.filter((signal) => signal.from_player_id !== playerId);
    for (const signal of kept) if (!this.#kept.includes(signal)) link.receiveSignal(signal.type, signal.payload);
    return link;
  }

  /** Give up the seats, whether waiting or playing. */
  async leaveRoom() {
    const seating = this.#seating;
    this.#seating = null;
    if (seating !== null) await this.#line.request("leave_room", { room: seating.room });
  }

  /** Close every link and end every probe; the socket stays as it is. Idempotent. */
  close() {
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    this.#probes.close();
    this.#line.close();
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

  /** Ask for the seats again if the line broke between joining and the match. */
  async #sitDownAgain() {
    if (this.#seating === null || this.#match !== null) return;
    try {
      await this.#line.request("join_room", { ...this.#seating, client: CLIENT });
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
