/**
 * The line to the service: registers the subject whenever the socket is up, and sends requests and events.
 *
 * Knows the socket's events and the shape of acknowledgements. Refuses to know what is requested.
 */

import { GymP2PError } from "./errors.js";

/** What this software calls itself. Python players call themselves `gym_p2p/<version>`. */
export const CLIENT = "gym_p2p.js/0.1.0";

const ANSWER_TIMEOUT_MS = 5000;
const REGISTER_TIMEOUT_MS = 10_000;

/**
 * A Socket.IO client's socket (protocol 5, of the namespace that the service is in).
 *
 * @typedef {object} SocketLike
 * @property {boolean} connected
 * @property {(event: string, handler: (...args: any[]) => void) => unknown} on
 * @property {(event: string, handler: (...args: any[]) => void) => unknown} off
 * @property {(event: string, ...args: any[]) => unknown} emit
 * @property {any} [auth]  an object, or a function that hands one to its argument.
 */

export class ServiceLine {
  /** @type {SocketLike} */ #socket;
  /** @type {string} */ #subjectId;
  /** @type {string} */ #prefix;
  /** @type {Array<[string, (...args: any[]) => void]>} */ #handlers = [];
  /** @type {Promise<void>} */ #registered;
  /** @type {(() => void) | null} */ #settle = null;
  /** @type {GymP2PError | null} */ #ended = null;
  /** @type {Set<(error: GymP2PError) => void>} */ #endListeners = new Set();
  /** @type {number | null} */ #serviceRttMs = null;

  /**
   * @param {SocketLike} socket  stays the page's own: closing the line does not disconnect it.
   * @param {string} subjectId  who this page is: 1 to 128 of `A-Z a-z 0-9 . _ : @ + -`.
   * @param {string} [prefix]  before the names of the service's events, where a host has mounted it so.
   */
  constructor(socket, subjectId, prefix = "") {
    this.#socket = socket;
    this.#subjectId = subjectId;
    this.#prefix = prefix;
    this.#registered = this.#unregistered();
    this.#listen("connect", () => this.#register());
    this.#listen("disconnect", () => {
      if (this.#settle === null) this.#registered = this.#unregistered();
    });
    this.on("replaced", () => {
      this.#end(new GymP2PError("replaced", "another client has registered as the same subject"));
    });
    if (socket.connected) this.#register();
  }

  get subjectId() {
    return this.#subjectId;
  }

  /** How long the service took to answer the newest registration; `null` before the first. */
  get serviceRttMs() {
    return this.#serviceRttMs;
  }

  /**
   * Call `handler` on every such event of the service, until the line is closed.
   *
   * @param {string} event
   * @param {(data: any) => void} handler
   */
  on(event, handler) {
    this.#listen(this.#prefix + event, handler);
  }

  /**
   * @param {string} event
   * @param {(...args: any[]) => void} handler
   */
  #listen(event, handler) {
    this.#handlers.push([event, handler]);
    this.#socket.on(event, handler);
  }

  /**
   * Call `listener` once when the line ends for good; at once if it has.
   *
   * @param {(error: GymP2PError) => void} listener
   */
  onEnd(listener) {
    if (this.#ended === null) this.#endListeners.add(listener);
    else listener(this.#ended);
  }

  /** Resolve when the service knows who we are; rejects with {@link GymP2PError}. */
  async registered() {
    await within(this.#registered, REGISTER_TIMEOUT_MS, "the service cannot be reached");
    if (this.#ended !== null) throw this.#ended;
  }

  /**
   * Send an event and return the accepted answer's fields; rejects with {@link GymP2PError}.
   *
   * @param {string} event
   * @param {object} payload
   * @returns {Promise<any>}
   */
  async request(event, payload) {
    await this.registered();
    return this.#send(event, payload);
  }

  /**
   * Send an event, in order, once the line permits; what the service thinks of it is not waited for.
   *
   * @param {string} event
   * @param {object} payload
   */
  emit(event, payload) {
    this.#registered.then(() => {
      if (this.#ended === null) this.#socket.emit(this.#prefix + event, payload);
    });
  }

  /** Stop listening. Idempotent. */
  close() {
    this.#end(new GymP2PError("closed", "the client was closed"));
  }

  /** @returns {Promise<void>} a promise that `#settle` resolves */
  #unregistered() {
    return new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  async #register() {
    const askedMs = performance.now();
    try {
      const answer = await this.#send("register_subject", { subject_id: this.#subjectId, client: CLIENT });
      // Shown by the next socket, so that a line that broke is not taken for somebody else's.
      if (answer.resume_token && typeof this.#socket.auth !== "function") {
        this.#socket.auth = { ...this.#socket.auth, resume_token: answer.resume_token };
      }
    } catch (error) {
      // A line that broke meanwhile registers again when it is back.
      if (error instanceof GymP2PError && error.code !== "unreachable") this.#end(error);
      return;
    }
    this.#serviceRttMs = performance.now() - askedMs;
    this.#settle?.();
    this.#settle = null;
  }

  /**
   * @param {string} event
   * @param {object} payload
   * @returns {Promise<any>}
   */
  async #send(event, payload) {
    /** @type {Promise<any>} */
    const answered = new Promise((resolve) => {
      this.#socket.emit(this.#prefix + event, payload, resolve);
    });
    const answer = await within(answered, ANSWER_TIMEOUT_MS, `no answer to ${event}`);
    if (answer?.ok === true) return answer;
    const { code = "unknown", message = "no reason given" } = answer?.error ?? {};
    throw new GymP2PError(String(code), String(message));
  }

  /** @param {GymP2PError} error */
  #end(error) {
    if (this.#ended !== null) return;
    this.#ended = error;
    for (const [event, handler] of this.#handlers) this.#socket.off(event, handler);
    this.#settle?.();
    for (const listener of this.#endListeners) listener(error);
  }
}

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {number} timeoutMs
 * @param {string} message
 * @returns {Promise<T>}
 */
function within(promise, timeoutMs, message) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new GymP2PError("unreachable", message)), timeoutMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
