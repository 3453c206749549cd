/**
 * The tabs of this browser that have the same link open: one that plays tells the others that it is over, whom nobody else
 * tells any more. Knows no line to the process that plays.
 */

export class Tabs {
  #channel = new BroadcastChannel(`gym_p2p ${location.pathname}`);

  /** @param heard is given what another tab tells */
  constructor(heard) {
    this.#channel.onmessage = ({ data }) => heard(data);
  }

  tell(state) {
    this.#channel.postMessage(state);
  }
}
