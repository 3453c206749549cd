/**
 * Gamepads, as the keys of the table: directions for the cross and the sticks, the other keys for the buttons, in
 * their order. Knows the standard mapping of browsers (W3C Gamepad); looked at once a picture, for there are no events.
 */

import { CROSSES, groups } from "./groups.js";

const CROSS = [12, 14, 13, 15]; // up, left, down, right
const STICKS = [
  [0, 1],
  [2, 3],
];
const BUTTONS = [0, 1, 2, 3, 5, 4, 7, 6]; // those under the right thumb, then those of the fingers, right hand first
const PRESS = 0.5; // how far a stick is pushed that presses a key
const RELEASE = 0.35; // and how far it is let go, for a hand that trembles

export class Gamepads {
  #board;
  #tell;
  #crosses = [];
  #buttons = [];
  #held = new Map(); // by gamepad, the codes that it holds
  #looking = false;

  /**
   * @param board is told what is pressed.
   * @param tell is called with `connected`, `disconnected` or `unknown`.
   */
  constructor(board, tell) {
    this.#board = board;
    this.#tell = tell;
    addEventListener("gamepadconnected", ({ gamepad }) => this.#connected(gamepad));
    addEventListener("gamepaddisconnected", ({ gamepad }) => this.#gone(gamepad.index));
  }

  /** Take the keys of the controls. */
  use(controls) {
    const { crosses, others } = groups(controls);
    const codes = (list) => list.map(({ code }) => code);
    this.#crosses = crosses.map(codes).map(inOrder);
    this.#buttons = codes(others);
  }

  #connected(gamepad) {
    this.#tell(gamepad.mapping === "standard" ? "connected" : "unknown");
    if (!this.#looking) {
      this.#looking = true;
      this.#look();
    }
  }

  #gone(index) {
    this.#set(index, new Set());
    this.#held.delete(index);
    this.#tell("disconnected");
  }

  #look() {
    const all = [...navigator.getGamepads()].filter((one) => one?.connected && one.mapping === "standard");
    for (const one of all) this.#set(one.index, this.#pressed(one));
    this.#looking = all.length > 0;
    if (this.#looking) requestAnimationFrame(() => this.#look());
  }

  #pressed(gamepad) {
    const before = this.#held.get(gamepad.index) ?? new Set();
    const codes = new Set();
    const press = (code, on) => code !== undefined && on && codes.add(code);
    const [main = []] = this.#crosses;
    CROSS.forEach((button, place) => press(main[place], gamepad.buttons[button]?.pressed));
    STICKS.forEach(([x, y], number) => {
      const [up, left, down, right] = this.#crosses[number] ?? [];
      const pushed = (code, far) => press(code, far > (before.has(code) ? RELEASE : PRESS));
      pushed(left, -gamepad.axes[x]);
      pushed(right, gamepad.axes[x]);
      pushed(up, -gamepad.axes[y]);
      pushed(down, gamepad.axes[y]);
    });
    BUTTONS.forEach((button, place) => press(this.#buttons[place], gamepad.buttons[button]?.pressed));
    return codes;
  }

  /** Press what is new and release what is over; what is held while the page has no focus presses nothing later. */
  #set(index, codes) {
    const before = this.#held.get(index) ?? new Set();
    const gamepad = { by: "gamepad", which: index };
    this.#held.set(index, codes);
    const at = performance.now();
    for (const code of before) if (!codes.has(code)) this.#board.release(code, gamepad, at);
    for (const code of codes) if (!before.has(code) && this.#board.focused) this.#board.press(code, gamepad, at);
  }
}

/** Put the directions that there are in their places: up, left, down, right. */
function inOrder(codes) {
  const all = CROSSES.find((cross) => codes.every((code) => cross.includes(code)));
  return all.map((code) => (codes.includes(code) ? code : undefined));
}
