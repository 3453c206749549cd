/**
 * A page's own say before a queue's match is made.
 *
 * Asks the page's function and answers the service, whatever becomes of the function: the others of the match wait
 * for the answer. Refuses to know the queue.
 */

/**
 * @typedef {object} PairMeasured  What the probe of two players found.
 * @property {string[]} subjects  the two.
 * @property {number | null} rtt_ms  the larger of both sides' medians; `null`: it failed.
 * @property {Record<string, any>} reports  what each side reported, by subject.
 *
 * @typedef {object} MatchProbe  What was measured before a match.
 * @property {number} waited_s  how long this player has waited.
 * @property {PairMeasured[]} pairs  empty where the queue probes nobody.
 *
 * @typedef {object} MatchProposed
 * @property {string} proposal_id
 * @property {string} queue
 * @property {string[]} subjects  everybody in the group, this player included.
 * @property {MatchProbe} probe
 * @property {number} answer_within_s  later than this counts as a refusal.
 *
 * @typedef {boolean | "accept" | "reject" | "next"} Verdict  `"next"`: look for somebody else first.
 * @typedef {(match: MatchProposed) => Verdict | Promise<Verdict>} PreMatch
 */

const VERDICTS = ["accept", "reject", "next"];

/**
 * Ask the page, and tell the service; what throws, or is no verdict, is a refusal.
 *
 * @param {import("./line.js").ServiceLine} line
 * @param {PreMatch} preMatch
 * @param {MatchProposed} match
 */
export async function answerProposal(line, preMatch, match) {
  let verdict = "reject";
  try {
    const said = await preMatch(match);
    if (said === true) verdict = "accept";
    else if (typeof said === "string" && VERDICTS.includes(said)) verdict = said;
  } catch (error) {
    console.error("preMatch failed; the match is refused", error);
  }
  line.tell("answer_match", { proposal_id: match.proposal_id, verdict });
}
