/**
 * The tabs of this browser that have the same link open: one that plays tells the others that it is over, whom nobody else
 * tells any more. Knows no line to the process that plays.
 */

export class Tabs {
  #channel = channel();

  /** @param heard is given what another tab tells */
  constructor(heard) {
    if (this.#channel !== null) this.#channel.onmessage = ({ data }) => heard(data);
  }

  tell(state) {
    this.#channel?.postMessage(state);
  }
}

/** Open it; null in a browser that has none, or gives none to a site that may keep nothing (Firefox with cookies blocked). */
function channel() {
  try {
    return new BroadcastChannel(`gym_p2p ${location.pathname}`);
  } catch {
    return null;
  }
}
