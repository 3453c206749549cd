/**
 * A pair of data channels to the process that plays: `game`, which loses and reorders, and `ctrl`, which does not.
 * Knows how they are opened, by one request, and closed; what messages mean is others' to know.
 */

import { PeerLink } from "./static/link.js";
import { Pieces } from "./pieces.js";

/** How long they may take to open before something else is tried; longer, where somebody asks for them. */
const OPEN_LIMIT_MS = { opened: 2000, asked: 15000 };
/** How long candidates are collected for the one request: an address of the machine's own is there at once. */
const GATHER_MS = 100;
const LOST = 1006; // as a WebSocket that breaks says (RFC 6455, 7.4.1)

export class ChannelCarrier {
  reliable = false;
  #link;
  #frames = new Pieces();
  #texts = new Pieces();
  #handlers;
  #closed = false;

  /**
   * @param handlers those of a socket, and `failed(why)`, called instead of `opened()` where that does not come about in
   *   time.
   * @param why they are tried: `opened` or `asked`.
   */
  constructor(handlers, why) {
    this.#handlers = handlers;
    const candidates = [];
    let posted = false;
    this.#link = new PeerLink({
      localId: 0, // the smaller id offers
      remoteId: 1,
      negotiated: true,
      timeoutMs: OPEN_LIMIT_MS[why],
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
