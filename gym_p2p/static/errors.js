/** What goes wrong, by a code for programs and a sentence for people. */

/**
 * `code` is the service's own code when it refused something (`room_full`, `seat_taken`, …), or one of
 * `unreachable`, `replaced`, `timeout`, `failed` and `closed`.
 */
export class GymP2PError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.name = "GymP2PError";
    this.code = code;
  }
}
