/**
 * A browser client that knows the plain wire and nothing more: no field beyond it, no answer to glare or ties,
 * nothing repeated, a new offer taken as it comes. What is already out there behaves like this.
 */

const CHANNEL = { ordered: false, maxRetransmits: 0 };

function offersFirst(local, remote) {
  const [ours, theirs] = [Number(local), Number(remote)];
  if (!Number.isNaN(ours) && !Number.isNaN(theirs)) return ours < theirs;
  return String(local).localeCompare(String(remote)) < 0;
}

class PlainConnection {
  constructor(sendSignal, onMessage) {
    this.sendSignal = sendSignal;
    this.onMessage = onMessage;
    this.pc = null;
    this.channel = null;
    this.role = null;
    this.early = [];
    this.opened = new Promise((resolve) => (this.noteOpen = resolve));
  }

  get connectionState() {
    return this.pc.connectionState;
  }

  getStats() {
    return this.pc.getStats();
  }

  async begin(offers) {
    this.pc = new RTCPeerConnection({ iceServers: [] });
    this.pc.onicecandidate = ({ candidate }) => {
      if (candidate) this.sendSignal("ice-candidate", candidate.toJSON());
    };
    this.pc.ondatachannel = ({ channel }) => this.use(channel);
    if (!offers) return;
    this.role = "offerer";
    this.use(this.pc.createDataChannel("game", CHANNEL));
    await this.pc.setLocalDescription(await this.pc.createOffer());
    this.sendSignal("offer", this.pc.localDescription.toJSON());
  }

  async receive(type, payload) {
    if (this.pc === null) throw new Error("a signal before the start");
    if (type === "offer") {
      this.role = "answerer";
      await this.pc.setRemoteDescription(payload);
      await this.flush();
      await this.pc.setLocalDescription(await this.pc.createAnswer());
      this.sendSignal("answer", this.pc.localDescription.toJSON());
    } else if (type === "answer") {
      await this.pc.setRemoteDescription(payload);
      await this.flush();
    } else if (payload?.candidate) {
      const candidate = new RTCIceCandidate(payload);
      if (this.pc.remoteDescription === null) this.early.push(candidate);
      else await this.pc.addIceCandidate(candidate);
    }
  }

  async flush() {
    for (const candidate of this.early.splice(0)) await this.pc.addIceCandidate(candidate);
  }

  use(channel) {
    this.channel = channel;
    channel.binaryType = "arraybuffer";
    channel.onmessage = ({ data }) => this.onMessage(data);
    channel.onopen = () => this.noteOpen();
  }

  send(data) {
    if (this.channel?.readyState !== "open") return false;
    this.channel.send(data);
    return true;
  }

  close() {
    this.channel?.close();
    this.pc?.close();
  }
}

export class PlainLink extends PlainConnection {
  constructor(socket, gameId, localId, remoteId, onMessage) {
    super((type, payload) => {
      socket.emit("webrtc_signal", { game_id: gameId, target_player_id: remoteId, type, payload });
    }, onMessage);
    this.offers = offersFirst(localId, remoteId);
    socket.on("webrtc_signal", (signal) => {
      if (signal.game_id !== gameId || signal.from_player_id !== remoteId) return;
      this.receive(signal.type, signal.payload);
    });
    this.begun = this.begin(this.offers);
  }

  async connect() {
    await this.begun;
    await this.opened;
  }
}

class PlainProbe extends PlainConnection {
  constructor(socket, prepare) {
    const { probe_session_id, peer_subject_id } = prepare;
    super(
      (type, payload) =>
        socket.emit("probe_signal", { probe_session_id, target_subject_id: peer_subject_id, type, payload }),
      (data) => this.read(data),
    );
    this.id = probe_session_id;
    this.pings = new Map();
  }

  read(data) {
    const message = JSON.parse(data);
    if (message.type === "ping") this.send(JSON.stringify({ type: "pong", seq: message.seq, ts: message.ts }));
    else if (message.type === "pong") this.pings.get(message.seq)?.();
  }

  ping(seq) {
    const sentAt = Date.now();
    return new Promise((resolve) => {
      this.pings.set(seq, () => resolve(Date.now() - sentAt));
      setTimeout(() => resolve(null), 2000);
      this.send(JSON.stringify({ type: "ping", seq, ts: sentAt }));
    });
  }

  /** The integer median of five pings, one after the other. */
  async measure() {
    const found = [];
    for (let seq = 0; seq < 5; seq += 1) {
      if (seq > 0) await new Promise((resolve) => setTimeout(resolve, 100));
      found.push(await this.ping(seq));
    }
    const rtts = found.filter((rtt) => rtt !== null).sort((a, b) => a - b);
    return rtts.length === 0 ? null : Math.round(rtts[rtts.length >> 1]);
  }
}

/** Registers, plays and is probed. Meeting is the service's own, so it is asked in the service's words. */
export class PlainPlayer {
  constructor(socket, subject, onProbe) {
    this.socket = socket;
    this.subject = subject;
    this.probe = null;
    this.matched = new Promise((resolve) => socket.on("match_found", resolve));
    this.known = new Promise((resolve) => {
      socket.on("connect", () => socket.emit("register_subject", { subject_id: subject, globals: {} }, resolve));
    });
    socket.on("probe_prepare", (prepare) => {
      this.probe?.close();
      this.probe = new PlainProbe(socket, prepare);
      this.probe.peer = prepare.peer_subject_id;
      socket.emit("probe_ready", { probe_session_id: prepare.probe_session_id });
    });
    socket.on("probe_start", ({ probe_session_id }) => {
      if (this.probe?.id === probe_session_id) this.carryOut(this.probe, onProbe);
    });
    socket.on("probe_signal", ({ probe_session_id, type, payload }) => {
      if (this.probe?.id === probe_session_id) this.probe.receive(type, payload);
    });
  }

  async carryOut(probe, onProbe) {
    await probe.begin(offersFirst(this.subject, probe.peer));
    await probe.opened;
    const rtt_ms = await probe.measure();
    this.socket.emit("probe_result", { probe_session_id: probe.id, rtt_ms, success: rtt_ms !== null });
    onProbe({ rtt_ms, role: probe.role });
    probe.close();
  }

  registered() {
    return this.known;
  }

  joinRoom(seating) {
    return new Promise((resolve) => this.socket.emit("join_room", { take: null, ...seating }, resolve));
  }

  waitForMatch() {
    return this.matched;
  }

  close() {
    this.probe?.close();
  }
}
