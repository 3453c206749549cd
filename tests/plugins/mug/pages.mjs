/**
 * Pages of the framework in one Chromium: commands are JSON lines on stdin, answers JSON lines on stdout.
 * The browser ends with stdin, however that comes about.
 *
 * The pages are the framework's own, unchanged. What they take from CDNs is answered from files. A page that
 * misbehaves does so at its websocket, where what it sends is held back or changed.
 */

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [, , program, timeoutMs, scripts] = process.argv;
const browser = await chromium.launch({ executablePath: program, timeout: Number(timeoutMs), args: ["--no-sandbox", "--disable-gpu"] });
const CDN = [
  ["jquery.min.js", "jquery.min.js"],
  ["phaser.min.js", "phaser.min.js"],
  ["socket.io.js", "socket.io.js"],
];
const files = new Map(CDN.map(([end, file]) => [end, readFileSync(`${scripts}/${file}`)]));
const pages = new Map();

/** Runs in the page before anything of it: `kind` is what it does wrong. */
function misbehave(kind) {
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    if (typeof data === "string") {
      if (kind === "silent" && data.includes('"probe_ready"')) return;
      if (kind === "mute" && data.includes('"probe_result"')) return;
      if (kind === "liar" && data.includes('"probe_result"')) {
        data = data.replace(/"rtt_ms":\d+/, '"rtt_ms":120');
      }
      if (kind === "far" && data.includes('"probe_result"')) {
        data = data.replace(/"rtt_ms":\d+/, '"rtt_ms":140');
      }
    }
    return send.call(this, data);
  };
}

function note(page, way, frame) {
  if (typeof frame.payload !== "string" || !frame.payload.startsWith("42")) return;
  const [event, payload] = JSON.parse(frame.payload.slice(frame.payload.indexOf("[")));
  page.events.push({ at: Date.now(), way, event, payload });
  if (page.kind === "leaver" && way === "in" && event === "probe_start") page.context.close();
}

const commands = {
  async open({ page: number, url, kind }) {
    const context = await browser.newContext();
    await context.addInitScript(misbehave, kind);
    await context.route(
      (address) => address.hostname !== "127.0.0.1",
      (route) => {
        const file = [...files.keys()].find((end) => route.request().url().endsWith(end));
        if (file === undefined) return route.abort();
        return route.fulfill({ body: files.get(file), contentType: "text/javascript", headers: { "access-control-allow-origin": "*" } });
      },
    );
    const opened = await context.newPage();
    opened.setDefaultTimeout(Number(timeoutMs));
    const page = { context, opened, kind, events: [] };
    pages.set(number, page);
    opened.on("websocket", (socket) => {
      socket.on("framesent", (frame) => note(page, "out", frame));
      socket.on("framereceived", (frame) => note(page, "in", frame));
    });
    await opened.goto(url);
    await opened.locator("#advanceButton:visible:enabled").click();
    await opened.locator("#startButton:visible:enabled").waitFor();
    return null;
  },
  async join({ page }) {
    await pages.get(page).opened.locator("#startButton").click();
    return null;
  },
  events: async ({ page }) => pages.get(page).events,
  async close({ page }) {
    await pages.get(page)?.context.close();
    pages.delete(page);
    return null;
  },
};

function answer(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

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
