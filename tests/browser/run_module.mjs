/** Runs the module's arithmetic for the Python tests: a JSON task on stdin, its result on stdout. */

import { readFileSync } from "node:fs";
import { Burst, isEnough, medianInterval, straddles } from "./static/burst.js";
import { initiates, keeps, LatencySeries, LatencyTelemetry } from "./static/gym_p2p.js";

const tasks = {
  initiates: (pairs) => pairs.map(([one, other]) => initiates(one, other)),
  keeps: (pairs) => pairs.map(([one, other]) => keeps(one, other)),
  latency({ maxSamples, polls }) {
    const series = new LatencySeries(maxSamples);
    for (const poll of polls) series.add(poll);
    return series.statistics();
  },
  telemetry,
  bursts: (scripts) => scripts.map(runBurst),
  judgements: (cases) =>
    cases.map(([samplesMs, count, thresholdMs]) => [
      medianInterval(samplesMs),
      straddles(samplesMs, thresholdMs),
      isEnough(samplesMs, count, thresholdMs),
    ]),
};

/** Poll a connection whose reports are these, one after another. */
async function telemetry(reports) {
  const [statuses, warnings] = [[], []];
  console.warn = (text) => warnings.push(text);
  const getStats = async () => new Map(Object.entries(reports.shift()));
  const connection = { connectionState: "connected", getStats };
  return new Promise((resolve) => {
    const onPoll = ({ status }) => {
      statuses.push(status);
      if (reports.length > 0) return;
      polling.stop();
      resolve({ statuses, warnings, statistics: polling.getStats() });
    };
    const polling = new LatencyTelemetry(connection, { pollIntervalMs: 1, onPoll });
    polling.start();
  });
}

/** One burst on virtual time: `rttsMs` of the n-th ping, warm-ups included; `null` loses it. */
function runBurst({ thresholdMs, rttsMs, heldUs, stopMs }) {
  const burst = new Burst(thresholdMs);
  const pongs = [];
  let nowMs = 0;
  burst.start(nowMs);
  for (let turn = 0; turn < 1000; turn += 1) {
    for (let output = burst.poll(); output !== null; output = burst.poll()) {
      if ("statistics" in output) return { ...output.statistics, tookMs: nowMs };
      const { seq, ts } = JSON.parse(output.text);
      if (rttsMs[seq] !== null) {
        const text = JSON.stringify({ type: "pong", seq, ts, held_us: heldUs });
        pongs.push({ atMs: nowMs + rttsMs[seq], text });
      }
    }
    pongs.sort((one, other) => one.atMs - other.atMs);
    const dueMs = burst.nextTimeout() ?? Infinity;
    const nextMs = Math.min(dueMs, pongs[0]?.atMs ?? Infinity);
    if (stopMs !== null && stopMs < nextMs) {
      burst.stop();
      const output = burst.poll();
      return output && { ...output.statistics, tookMs: stopMs };
    }
    nowMs = Math.max(nowMs, nextMs);
    if (pongs[0]?.atMs <= dueMs) burst.receive(pongs.shift().text, nowMs);
    else burst.handleTimeout(nowMs);
  }
  throw new Error("the burst does not end");
}

const { task, argument } = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(await tasks[task](argument)));
