/**
 * The line to the process that plays: one WebSocket, made again when it breaks. Knows messages; what they mean is
 * others' to know.
 */

const VERSION = 1;
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 2000;
const GIVE_UP_MS = 20000;

/** What a connection is closed with on purpose, and is not to be opened again. */
export const CLOSED = {
  ...{ 4001: "taken", 4002: "dropped", 4003: "over", 4004: "version" },
  ...{ 4005: "full", 4006: "expired", 4007: "crashed", 4008: "closing", 4009: "elsewhere" },
};

export class Link {
  #handlers;
  #socket = null;
  #brokenAt = null;
  #retryMs = FIRST_RETRY_MS;

  /** @param handlers `opened()`, `frame(buffer)`, `message(object)`, `broken()`, `closed(why)` */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#connect();
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  send(message) {
    if (this.open) this.#socket.send(JSON.stringify(message));
  }

  #connect() {
    const url = new URL("page", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => {
      this.#brokenAt = null;
      this.#retryMs = FIRST_RETRY_MS;
      this.send({
        t: "hello",
        v: VERSION,
        width: Math.round(innerWidth),
        height: Math.round(innerHeight),
        touch: matchMedia("(pointer: coarse)").matches,
        ...browser(),
      });
      this.#handlers.opened();
    };
    socket.onmessage = ({ data }) =>
      typeof data === "string" ? this.#hear(JSON.parse(data), performance.now()) : this.#handlers.frame(data);
    socket.onclose = ({ code }) => this.#closed(code);
  }

  #hear(message, received) {
    if (message.t === "ping") {
      this.send({ t: "pong", id: message.id, received, sent: performance.now() });
    } else {
      this.#handlers.message(message);
    }
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
