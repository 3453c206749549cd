/**
 * A WebSocket to the process that plays. Knows how it is opened and closed; what messages mean is others' to know.
 *
 * Like the data channels (`channels.js`) it has `open`, `reliable`, `send(text, {mayGetLost})` and `close()`, and
 * calls `{opened(), text(text), frame(buffer), closed(code)}`.
 */

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
