/**
 * The line to the process that plays: data channels or a WebSocket, made again when it breaks. Knows messages; what
 * they mean is others' to know.
 *
 * A page on the machine of the process takes a WebSocket at once; any other tries data channels first, and goes on
 * with a WebSocket where they do not open. `?link=websocket` or `?link=datachannel` asks for one.
 */

import { SocketCarrier } from "./socket.js";

const VERSION = 3;
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 2000;
const GIVE_UP_MS = 20000;
const SILENCE_MS = 6000; // twelve pings
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** What a connection is closed with on purpose, and is not to be opened again. */
export const CLOSED = {
  ...{ 4001: "taken", 4002: "dropped", 4003: "over", 4004: "version" },
  ...{ 4005: "full", 4006: "expired", 4007: "crashed", 4008: "closing", 4009: "elsewhere" },
};

export class Link {
  #handlers;
  #carrier = null;
  #why = null;
  #brokenAt = null;
  #retryMs = FIRST_RETRY_MS;
  #heardAt = 0;

  /** @param handlers `opened()`, `frame(buffer)`, `message(object)`, `broken()`, `closed(why)` */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#connect();
    setInterval(() => this.#listen(), SILENCE_MS / 6);
  }

  get open() {
    return this.#carrier?.open ?? false;
  }

  /** Whether all that is sent arrives, as long as the line stands. */
  get reliable() {
    return this.#carrier?.reliable ?? true;
  }

  /** What carries it: `"websocket"` or `"datachannel"`. */
  get kind() {
    return this.reliable ? "websocket" : "datachannel";
  }

  send(message, how = {}) {
    this.#carrier?.send(JSON.stringify(message), how);
  }

  #connect() {
    const asked = new URLSearchParams(location.search).get("link");
    if (asked === "datachannel") this.#takeChannels("asked");
    else if (asked === "websocket") this.#take(SocketCarrier, "asked");
    else if (LOOPBACK.includes(location.hostname)) this.#take(SocketCarrier, "loopback");
    else if (typeof RTCPeerConnection === "undefined") this.#take(SocketCarrier, "unsupported");
    else this.#takeChannels("opened");
  }

  /** Load what only those need who have channels. */
  #takeChannels(why) {
    import("./channels.js").then(
      ({ ChannelCarrier }) => this.#take(ChannelCarrier, why),
      () => this.#closed(null),
    );
  }

  #take(Carrier, why) {
    this.#why = why;
    const handlers = {
      opened: () => this.#opened(),
      text: (text) => this.#hear(JSON.parse(text), performance.now()),
      frame: (buffer) => {
        this.#heardAt = performance.now();
        this.#handlers.frame(buffer);
      },
      failed: (reason) => this.#take(SocketCarrier, reason),
      closed: (code) => this.#closed(code),
    };
    this.#carrier = new Carrier(handlers, why);
  }

  #opened() {
    this.#brokenAt = null;
    this.#retryMs = FIRST_RETRY_MS;
    this.#heardAt = performance.now();
    this.send({
      t: "hello",
      v: VERSION,
      width: Math.round(innerWidth),
      height: Math.round(innerHeight),
      touch: matchMedia("(pointer: coarse)").matches,
      ...browser(),
      why: this.#why,
    });
    this.#handlers.opened();
  }

  #hear(message, received) {
    this.#heardAt = received;
    if (message.t === "ping") {
      this.send({ t: "pong", id: message.id, received, sent: performance.now() }, { mayGetLost: true });
    } else {
      this.#handlers.message(message);
    }
  }

  /** Give up a line over which nothing comes: of a phone that changed its network nobody says so. */
  #listen() {
    if (!this.open || performance.now() - this.#heardAt < SILENCE_MS) return;
    this.#carrier.close();
    this.#closed(null);
  }

  #closed(code) {
    if (code in CLOSED) {
      this.#handlers.closed(CLOSED[code]);
      return;
    }
    this.#brokenAt ??= performance.now();
    if (performance.now() - this.#brokenAt > GIVE_UP_MS) {
      this.#handlers.closed("unreachable");
      return;
    }
    this.#handlers.broken();
    setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
  }
}

/** The browser's family and major version, and nothing else of it. */
function browser() {
  const families = [
    [/Firefox\/(\d+)/, "Firefox"],
    [/Edg\/(\d+)/, "Edge"],
    [/(?:Headless)?Chrom(?:e|ium)\/(\d+)/, "Chrome"],
    [/Version\/(\d+).*Safari\//, "Safari"],
  ];
  for (const [pattern, family] of families) {
    const found = navigator.userAgent.match(pattern);
    if (found !== null) return { browser: family, version: found[1].slice(0, 8) };
  }
  return { browser: "", version: "" };
}
