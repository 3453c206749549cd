/**
 * Whether a page accepts a queue's match before it is made.
 *
 * Calls the page's function and answers the service, whatever becomes of the function: the others of the match wait
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
 * Call the page's function, and send its verdict; what throws, or is no verdict, is a refusal.
 *
 * @param {import("./line.js").ServiceLine} line
 * @param {PreMatch} preMatch
 * @param {MatchProposed} match
 */
export async function answerProposal(line, preMatch, match) {
  let verdict = "reject";
  try {
    const answer = await preMatch(match);
    if (answer === true) verdict = "accept";
    else if (typeof answer === "string" && VERDICTS.includes(answer)) verdict = answer;
  } catch (error) {
    console.error("preMatch failed; the match is refused", error);
  }
  line.emit("answer_match", { proposal_id: match.proposal_id, verdict });
}
