/**
 * What carries messages to the process that plays: a WebSocket, or a pair of data channels. Knows how one is opened,
 * and how it is closed; what messages mean is others' to know.
 *
 * Both have `reliable`, `send(text, {mayGetLost})`, `close()`, and call `{opened, text, frame, closed(code)}`.
 */

import { PeerLink } from "./static/link.js";
import { Pieces } from "./pieces.js";

/** How long data channels may take to open before a WebSocket is tried. */
export const CHANNEL_LIMIT_MS = 2000;
/** How long candidates are collected for the one request: an address of the machine's own is there at once. */
const GATHER_MS = 100;
const LOST = 1006; // as a WebSocket that breaks says (RFC 6455, 7.4.1)

export class SocketCarrier {
  reliable = true;
  #socket;

  constructor(handlers) {
    const url = new URL("page", location.href);
    url.search = "";
    url.protocol = url.protocol.replace("http", "ws");
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => handlers.opened();
    this.#socket.onmessage = ({ data }) => (typeof data === "string" ? handlers.text(data) : handlers.frame(data));
    this.#socket.onclose = ({ code }) => handlers.closed(code);
  }

  get open() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  send(text) {
    if (this.open) this.#socket.send(text);
  }

  /** Let go of it: nothing is heard of it any more. */
  close() {
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
  }
}

export class ChannelCarrier {
  reliable = false;
  #link;
  #frames = new Pieces();
  #texts = new Pieces();
  #handlers;
  #closed = false;

  /** @param handlers also `failed(why)`, called instead of `opened()` where that does not come about in time. */
  constructor(handlers) {
    this.#handlers = handlers;
    const candidates = [];
    let posted = false;
    this.#link = new PeerLink({
      localId: 0, // the smaller id offers
      remoteId: 1,
      negotiated: true,
      timeoutMs: CHANNEL_LIMIT_MS,
      sendSignal: (type, payload) => {
        if (type === "ice-candidate") candidates.push(payload);
        if (type !== "offer" || posted) return; // which is one request
        posted = true;
        setTimeout(() => this.#post(payload.sdp, candidates), GATHER_MS);
      },
      onMessage: (data, channel) => this.#take(data, channel),
      onClose: () => this.#over(LOST),
    });
    this.#link.connect().then(
      () => handlers.opened(),
      (error) => this.#fail(error.code === "timeout" ? "late" : "failed"),
    );
  }

  get open() {
    return this.#link.isOpen;
  }

  send(text, { mayGetLost = false } = {}) {
    this.#link.send(text, mayGetLost ? "game" : "ctrl");
  }

  close() {
    this.#closed = true;
    this.#link.close();
  }

  async #post(sdp, candidates) {
    try {
      const answer = await fetch(new URL("offer", location.href), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ sdp, candidates }),
      });
      if (!answer.ok) throw new Error(`${answer.status}`);
      this.#link.receiveSignal("answer", await answer.json());
    } catch {
      this.#fail("failed");
    }
  }

  #take(data, channel) {
    if (typeof data === "string") return this.#text(data);
    const whole = (channel === "ctrl" ? this.#texts : this.#frames).add(data);
    if (whole === null) return undefined;
    return channel === "ctrl" ? this.#text(new TextDecoder().decode(whole)) : this.#handlers.frame(whole);
  }

  #text(text) {
    if (text.startsWith('{"t":"closed"')) this.#over(JSON.parse(text).code);
    else this.#handlers.text(text);
  }

  #fail(why) {
    if (this.#closed) return;
    this.close();
    this.#handlers.failed(why);
  }

  #over(code) {
    if (this.#closed) return;
    this.close();
    this.#handlers.closed(code);
  }
}
