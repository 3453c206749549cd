/**
 * How a browser page joins: signalling over a Socket.IO socket that the page passes in, a WebRTC game channel
 * to a peer (a Python program or another page), latency telemetry, and probes before a match.
 *
 *     import { io } from "./socket.io.esm.min.js";
 *     import { GymP2PClient } from "./gym_p2p.js";
 *
 *     const client = new GymP2PClient(io(url, { transports: ["websocket"] }), { subjectId: "anna" });
 *     await client.joinRoom({ room: "lab", seats: ["agent_0", "agent_1"] });
 *     const match = await client.waitForMatch();
 *     const peer = match.players.find((player) => player.player_id !== match.player_id);
 *     const link = client.linkTo(peer.player_id, { onMessage: (data) => console.log(data) });
 *     await link.connect();
 *     link.send("hello");
 *
 * Instead of a room, `client.joinQueue({ queue: "lab", seats })` waits for somebody near.
 *
 * Plain ES modules without dependencies, for any browser with WebRTC and class fields. What goes over the game
 * channel is the page's own affair.
 */

export { GymP2PClient } from "./client.js";
export { GymP2PError } from "./errors.js";
export { initiates, keeps } from "./initiator.js";
export { LatencySeries, LatencyTelemetry, readPath, readRoundTrip } from "./latency.js";
export { CLIENT, ServiceLine } from "./line.js";
export { PeerLink } from "./link.js";
export { PingBurst } from "./ping.js";
export { ProbeManager } from "./probe.js";
