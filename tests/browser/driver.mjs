/** What the browser's tests have a page or a file do. */

import { browser, obey } from "./remote.mjs";
import { seats } from "./seat.mjs";

const pages = new Map();

obey({
  /** What the page of a person's seat does, by its name there. */
  seat: ({ does, ...parameters }) => seats[does](parameters),
  async open({ page, url }) {
    const opened = await browser.newPage();
    const uncaught = [];
    opened.on("pageerror", (error) => uncaught.push(error.message));
    pages.set(page, { opened, uncaught });
    await opened.goto(url);
    await opened.waitForFunction("window.player !== undefined");
    return null;
  },
  call: ({ page, name, argument }) =>
    pages.get(page).opened.evaluate(([name, argument]) => window.player[name](argument), [name, argument]),
  /** Open a file without a network, and say what it asked for and how it lies on a screen of this width. */
  async file({ path, width }) {
    const context = await browser.newContext({ offline: true, viewport: { width, height: 800 } });
    try {
      const opened = await context.newPage();
      const requests = [];
      const errors = [];
      opened.on("request", (request) => requests.push(request.url()));
      opened.on("pageerror", (error) => errors.push(error.message));
      opened.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      opened.on("dialog", (dialog) => errors.push(dialog.message()));
      await opened.goto(`file://${path}`, { waitUntil: "load" });
      const seen = await opened.evaluate(() => ({
        text: document.body.innerText,
        overflow: document.documentElement.scrollWidth - window.innerWidth,
        smallest: Math.min(
          ...[...document.querySelectorAll("svg text")].map(
            (text) => {
              const { a, b } = text.getScreenCTM(); // a label at the side is turned
              return parseFloat(getComputedStyle(text).fontSize) * Math.hypot(a, b);
            },
          ),
        ),
        pictures: [...document.querySelectorAll("svg")].map((svg) => svg.getBoundingClientRect().width),
      }));
      const pdf = await opened.pdf();
      return { requests, errors, ...seen, printed: pdf.length };
    } finally {
      await context.close();
    }
  },
  uncaught: async ({ page }) => pages.get(page).uncaught.splice(0),
  async emulate({ page, latencyMs }) {
    const { opened } = pages.get(page);
    const devtools = await opened.context().newCDPSession(opened);
    await devtools.send("Network.enable");
    await devtools.send("Network.emulateNetworkConditions", {
      offline: false,
      latency: latencyMs,
      downloadThroughput: -1,
      uploadThroughput: -1,
    });
    return null;
  },
  async close({ page }) {
    const { opened } = pages.get(page);
    pages.delete(page);
    await opened.context().close();
    return null;
  },
});
