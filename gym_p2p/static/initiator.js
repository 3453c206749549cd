/** Who of two players offers. Knows ids and their order, and refuses to know what an offer is. */

/** @typedef {string | number} PlayerId  `1` and `"1"` are different players. */

/**
 * Tell whether `local` offers by the rule that all browser clients share: the smaller number, else the first
 * by `localeCompare`.
 *
 * @param {PlayerId} local
 * @param {PlayerId} remote
 * @returns {boolean | null} `null` when the two tie (`"1"` and `"01"`).
 */
export function initiates(local, remote) {
  const [ours, theirs] = [Number(local), Number(remote)];
  const order =
    Number.isNaN(ours) || Number.isNaN(theirs)
      ? String(local).localeCompare(String(remote))
      : Math.sign(ours - theirs) || 0; // Infinity - Infinity is NaN, and a tie
  return order === 0 ? null : order < 0;
}

/**
 * Tell whether `local`'s offer stands when two pages with this module have both offered. Of two different ids
 * exactly one's does, whatever languages the two browsers sort by.
 *
 * @param {PlayerId} local
 * @param {PlayerId} remote
 */
export function keeps(local, remote) {
  if (String(local) === String(remote)) return typeof local === "number";
  return String(local) < String(remote);
}
