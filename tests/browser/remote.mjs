/**
 * One browser for the Python tests: commands are JSON lines on stdin, answers JSON lines on stdout. The browser
 * ends with stdin, however that comes about. The program is given the browser's kind, itself, and how many ms it may
 * take to start.
 */

import { createInterface } from "node:readline";
import playwright from "playwright-core";

const [, , kind, executablePath, timeout] = process.argv;

const KINDS = {
  chromium: {
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  },
  firefox: { channel: "moz-firefox" }, // one as Mozilla makes it, over WebDriver BiDi, and not one patched for Playwright
};

export const browser = await playwright[kind].launch({ executablePath, timeout: Number(timeout), ...KINDS[kind] });

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
