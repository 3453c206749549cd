/**
 * One Chromium for the Python tests: commands are JSON lines on stdin, answers JSON lines on stdout. The browser
 * ends with stdin, however that comes about. The program is given the browser and how many ms it may take to start.
 */

import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

export const browser = await chromium.launch({
  executablePath: process.argv[2],
  timeout: Number(process.argv[3]),
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});

function answer(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** Say that the browser has started, and carry out these commands until stdin ends. */
export function obey(commands) {
  answer({ id: 0, result: browser.version() });
  const lines = createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    const { id, command, ...parameters } = JSON.parse(line);
    try {
      answer({ id, result: (await commands[command](parameters)) ?? null });
    } catch (error) {
      answer({ id, error: error.message });
    }
  });
  lines.on("close", async () => {
    await browser.close();
    process.exit(0);
  });
}
