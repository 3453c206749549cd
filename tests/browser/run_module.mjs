/** Runs the module's arithmetic for the Python tests: a JSON task on stdin, its result on stdout. */

import { readFileSync } from "node:fs";
import { initiates, keeps, LatencySeries } from "./static/gym_p2p.js";

const tasks = {
  initiates: (pairs) => pairs.map(([one, other]) => initiates(one, other)),
  keeps: (pairs) => pairs.map(([one, other]) => keeps(one, other)),
  latency({ maxSamples, polls }) {
    const series = new LatencySeries(maxSamples);
    for (const poll of polls) series.add(poll);
    return series.statistics();
  },
};

const { task, argument } = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(tasks[task](argument)));
