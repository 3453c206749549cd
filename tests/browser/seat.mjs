/** What the tests of a person's seat have a page do: open links, press keys, look at the canvas. */

import { browser } from "./remote.mjs";

const pages = new Map();

export const seats = {
  /** Open a link in a window of its own, or in another tab of a page's window. */
  async open({ page, url, width = 1000, height = 700, ratio = 1, touch = false, beside = null, init = "" }) {
    const context =
      beside === null
        ? await browser.newContext({ viewport: { width, height }, deviceScaleFactor: ratio, hasTouch: touch, isMobile: touch })
        : pages.get(beside).opened.context();
    const opened = await context.newPage();
    if (init) await opened.addInitScript(init);
    const errors = [];
    const requests = [];
    opened.on("pageerror", (error) => errors.push(error.message));
    opened.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    opened.on("request", (request) => requests.push(request.url()));
    pages.set(page, { opened, errors, requests });
    await opened.goto(url);
    return null;
  },
  /** Look again and again: the page's policy forbids what Playwright's own waiting does, to evaluate in the page. */
  async until({ page, expression, limitMs }) {
    const end = Date.now() + limitMs;
    for (;;) {
      const value = await pages.get(page).opened.evaluate(expression).catch((error) => error.message); // it may reload
      if (value === true) return null;
      if (Date.now() > end) {
        const text = await pages.get(page).opened.evaluate("document.body.innerText");
        throw new Error(`not true: ${expression}; it is ${value}, and there stands: ${text}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
  value: ({ page, expression }) => pages.get(page).opened.evaluate(expression),
  press: ({ page, code }) => pages.get(page).opened.keyboard.down(code),
  release: ({ page, code }) => pages.get(page).opened.keyboard.up(code),
  tap: ({ page, selector }) => pages.get(page).opened.tap(selector),
  click: ({ page, selector, times = 1 }) => pages.get(page).opened.click(selector, { clickCount: times }),
  resize: ({ page, width, height }) => pages.get(page).opened.setViewportSize({ width, height }).then(() => null),
  /** Look as somebody does who wants it dark, or still: `{ colorScheme, reducedMotion }`. */
  media: ({ page, ...wishes }) => pages.get(page).opened.emulateMedia(wishes).then(() => null),
  reload: ({ page }) => pages.get(page).opened.reload().then(() => null),
  screenshot: ({ page, path }) => pages.get(page).opened.screenshot({ path }).then(() => null),
  seen: ({ page }) => {
    const { errors, requests } = pages.get(page);
    return { errors, requests };
  },
  async close({ page }) {
    const { opened } = pages.get(page);
    pages.delete(page);
    await opened.close();
    const context = opened.context();
    if (context.pages().length === 0) await context.close(); // its window goes with it
    return null;
  },
};
