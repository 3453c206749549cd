/**
 * Where a page waits for its match: seats in a room, or a place in a queue, as they are requested of the service.
 *
 * Values that can be requested again after a broken line. Refuses to know the line.
 */

import { CLIENT } from "./line.js";

/**
 * @typedef {import("./initiator.js").PlayerId} PlayerId
 *
 * @typedef {object} RoomSeating
 * @property {string} room  any id; who names the same one meets there.
 * @property {PlayerId[]} seats  every seat of the environment, in its order.
 * @property {PlayerId[] | null} [take]  the seats wanted; without it any free one.
 *
 * @typedef {object} QueueSeating
 * @property {string} queue  any id; who names the same one is probed and matched there.
 * @property {PlayerId[]} seats  every seat of the environment, in its order; a match has one player on each.
 * @property {PlayerId | null} [take]  the seat wanted; without it any.
 * @property {string[]} [previousPartners]  subjects whom this one has played with, the latest last.
 * @property {string | null} [groupId]  a group to be brought together again.
 *
 * @typedef {object} Seating  The requests for a place, and for giving it up.
 * @property {[event: string, payload: object]} join
 * @property {[event: string, payload: object]} leave
 */

/**
 * @param {RoomSeating} seating
 * @returns {Seating}
 */
export function inRoom({ room, seats, take = null }) {
  return {
    join: ["join_room", { room, seats, take, client: CLIENT }],
    leave: ["leave_room", { room }],
  };
}

/**
 * @param {QueueSeating} seating
 * @param {{ asks: boolean, serviceRttMs: number | null }} own  whether the page has to accept a match before it is
 *     made, and its round trip to the service.
 * @returns {Seating}
 */
export function inQueue({ queue, seats, take = null, previousPartners = [], groupId = null }, own) {
  const history = { previous_partners: previousPartners, group_id: groupId };
  const ticket = { queue, seats, take, client: CLIENT, asks: own.asks, rtt_ms: own.serviceRttMs, ...history };
  return { join: ["join_queue", ticket], leave: ["leave_queue", { queue }] };
}
