/**
 * Pages of the framework. They are its own, unchanged; what they take from CDNs is answered from files. A page
 * that misbehaves does so at its websocket, where what it sends is held back or changed.
 */

import { readdirSync, readFileSync } from "node:fs";
import { browser, obey } from "./remote.mjs";

const [, , , , timeoutMs, folder] = process.argv;
const scripts = new Map(readdirSync(folder).map((name) => [name, readFileSync(`${folder}/${name}`)]));
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

obey({
  async open({ page: number, url, kind }) {
    const context = await browser.newContext();
    await context.addInitScript(misbehave, kind);
    await context.route(
      (address) => address.hostname !== "127.0.0.1",
      (route) => {
        const script = [...scripts.keys()].find((name) => route.request().url().endsWith(name));
        if (script === undefined) return route.abort();
        return route.fulfill({ body: scripts.get(script), contentType: "text/javascript", headers: { "access-control-allow-origin": "*" } });
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
});
