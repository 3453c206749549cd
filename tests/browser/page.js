/** What the tests ask of a page: one player, with the published module or with the plain client. */

import { io } from "./socket.io.esm.min.js";
import { GymP2PClient, LatencyTelemetry } from "./static/gym_p2p.js";
import { PlainLink, PlainPlayer } from "./plain.js";

let state = null;

/** Keep what this page signals to the others, and of where it can be reached. */
function watchSignals({ socket, offers, candidates }) {
  const { emit } = socket;
  socket.emit = function (event, payload, ...rest) {
    if (payload?.type === "offer") offers.push(payload.payload.sdp);
    if (payload?.type === "ice-candidate") candidates.push(payload.payload.candidate);
    return emit.call(this, event, payload, ...rest);
  };
}

/** Look at the stats report of every new connection once, a while after it has connected, and keep it that long. */
function watchStats({ readings }, { afterMs, keptMs }) {
  window.RTCPeerConnection = class extends RTCPeerConnection {
    #kept = Promise.resolve();

    constructor(...options) {
      super(...options);
      this.addEventListener("connectionstatechange", () => {
        if (this.connectionState !== "connected") return;
        this.#kept = new Promise((resolve) => setTimeout(resolve, keptMs));
        setTimeout(async () => readings.push(roundTripMs(await this.getStats())), afterMs);
      });
    }

    async close() {
      await this.#kept;
      super.close();
    }
  };
}

function roundTripMs(report) {
  const pairs = [...report.values()].filter((entry) => entry.type === "candidate-pair" && entry.nominated);
  const seconds = pairs[0]?.currentRoundTripTime;
  return seconds === undefined ? null : seconds * 1000;
}

const PATIENCE_MS = 40_000; // as in tests/waiting.py

async function until(condition) {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("it did not come true");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

window.player = {
  /** Let timers come as those of a hidden tab do: at whole multiples of so many milliseconds. */
  hide({ everyMs, told }) {
    const soon = window.setTimeout;
    window.setTimeout = (work, afterMs = 0, ...rest) => {
      const now = performance.now();
      const atMs = Math.ceil((now + Math.max(0, afterMs)) / everyMs) * everyMs;
      return soon(work, atMs - now, ...rest);
    };
    if (told) Object.defineProperty(document, "hidden", { get: () => true });
  },

  async start({ url, subject, plain, verdict, prefix = "", namespace = "/" }) {
    const socket = io(url + namespace, { transports: ["websocket"], upgrade: false, forceNew: true });
    const [probes, statuses, proposals] = [[], [], []];
    const onProbe = (result) => probes.push(result);
    const onQueueStatus = (status) => statuses.push(status);
    const preMatch = async (proposed) => {
      proposals.push(proposed);
      if (verdict === "throw") throw new Error("the page's own fault");
      return verdict;
    };
    const say = verdict === null ? {} : { preMatch };
    const client = plain
      ? new PlainPlayer(socket, subject, onProbe)
      : new GymP2PClient(socket, { subjectId: subject, prefix, onProbe, onQueueStatus, ...say });
    state = { socket, client, probes, statuses, proposals, link: null, telemetry: null };
    Object.assign(state, { messages: [], offers: [], candidates: [] });
    state.readings = [];
    watchSignals(state);
    await state.client.registered();
  },

  join: (seating) => state.client.joinRoom(seating),

  joinQueue: (seating) => state.client.joinQueue(seating),

  leave: () => state.client.leave(),

  /** Return the matches that were proposed, once there are so many. */
  async proposed({ count }) {
    await until(() => state.proposals.length >= count);
    return state.proposals;
  },

  /** Return once the queue has told that this player waits; it does so at the latest after five seconds. */
  async waiting() {
    await until(() => state.statuses.at(-1)?.state === "waiting");
  },

  async match() {
    const match = await state.client.waitForMatch(PATIENCE_MS);
    const peer = match.players.find((player) => player.player_id !== match.player_id);
    const { messages } = state;
    const onMessage = (data) => messages.push(data);
    state.link =
      state.client instanceof PlainPlayer
        ? new PlainLink(state.socket, match.match_id, match.player_id, peer.player_id, onMessage)
        : state.client.linkTo(peer.player_id, { onMessage });
    return match;
  },

  async connect() {
    const startedMs = performance.now();
    await state.link.connect();
    const tookMs = performance.now() - startedMs;
    return { tookMs, role: state.link.role, offers: state.offers, candidates: state.candidates };
  },

  /** Return once so many offers went out. */
  offered: ({ count }) => until(() => state.offers.length >= count),

  send: ({ text }) => state.link.send(text),

  async hear({ text }) {
    await until(() => state.messages.includes(text));
  },

  poll({ intervalMs }) {
    state.telemetry = new LatencyTelemetry(state.link, { pollIntervalMs: intervalMs });
    state.telemetry.start();
  },

  /** Stop after so many polls, and return what was measured. */
  async latency({ polls }) {
    await until(() => (state.telemetry.getStats()?.polls ?? 0) >= polls);
    state.telemetry.stop();
    return state.telemetry.getStats();
  },

  watchStats: (times) => watchStats(state, times),

  readings: () => state.readings,

  async probed({ count }) {
    await until(() => state.probes.length >= count);
    return { results: state.probes, candidates: state.candidates };
  },

  /** Cut the line to the service, and return once it is up again. */
  async breakLine() {
    const { socket } = state;
    let broken = false;
    socket.once("disconnect", () => (broken = true));
    socket.io.engine.close();
    await until(() => broken && socket.connected);
    await state.client.registered();
  },

  /** The word for why there is no match. */
  async refusal() {
    return state.client.waitForMatch(PATIENCE_MS).then(
      () => null,
      (error) => error.code,
    );
  },

  close() {
    state.link?.close();
    state.client.close();
    state.socket.disconnect();
  },
};
