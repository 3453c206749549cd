/**
 * What is held: keys by their place on the keyboard, and whatever else presses them. Knows codes; a frame, a player or
 * an action is not for a page to say.
 */

const MODIFIERS = { ctrlKey: ["ControlLeft", "ControlRight"], altKey: ["AltLeft", "AltRight"], metaKey: [] };
const KEYBOARD = { by: "keys", which: 0 };

export class KeyBoard {
  #codes = new Set();
  #held = [];
  #holders = new Map(); // by code, who presses it: it is held until all have let go
  #teller;
  #blurred = false; // whether the window was told that events go elsewhere

  /** @param teller is told every change of what is held, and of the focus. */
  constructor(teller) {
    this.#teller = teller;
    addEventListener("keydown", (event) => this.#key(event, true));
    addEventListener("keyup", (event) => this.#key(event, false));
    for (const change of ["blur", "focus", "keydown", "pointerdown"]) addEventListener(change, (event) => this.#turned(event), true);
    document.addEventListener("visibilitychange", () => this.#focus());
  }

  get focused() {
    return !this.#blurred && document.hasFocus() && document.visibilityState === "visible";
  }

  /** Begin with a process that has heard nothing. */
  restart() {
    this.#teller.restart();
    this.#held = [];
    this.#holders.clear();
    this.#focus();
  }

  /** Take the keys of the controls: all others are the browser's. */
  use(controls) {
    this.#codes = new Set(controls.flatMap(({ codes }) => codes));
  }

  /**
   * Press a key.
   *
   * @param hand what holds it: `{ by, which }`, of which `by` is `keys`, `touch` or `gamepad`.
   */
  press(code, hand, at) {
    const holders = this.#holders.get(code) ?? new Set();
    this.#holders.set(code, holders.add(nameOf(hand)));
    if (this.#held.includes(code)) return;
    this.#held.push(code);
    this.#teller.changed(this.#held, at, code, hand.by);
  }

  release(code, hand, at) {
    const holders = this.#holders.get(code);
    if (!holders?.delete(nameOf(hand)) || holders.size > 0) return;
    this.#held = this.#held.filter((other) => other !== code);
    this.#teller.changed(this.#held, at);
  }

  /** Release all that a hand holds: macOS tells nobody which keys were released while Command was held. */
  #letGo(hand, at) {
    for (const code of [...this.#held]) this.release(code, hand, at);
  }

  #key(event, down) {
    if (!down && event.isTrusted && event.key === "Meta") this.#letGo(KEYBOARD, event.timeStamp);
    const forButton = event.target instanceof HTMLButtonElement && ["Space", "Enter"].includes(event.code);
    const foreign = Object.entries(MODIFIERS).some(([flag, codes]) => event[flag] && !codes.some((code) => this.#codes.has(code)));
    const held = this.#holders.get(event.code)?.has(nameOf(KEYBOARD));
    if (!event.isTrusted || !this.#codes.has(event.code) || (down ? forButton || foreign : !held)) return;
    event.preventDefault();
    if (down && !event.repeat) this.press(event.code, KEYBOARD, event.timeStamp);
    if (!down) this.release(event.code, KEYBOARD, event.timeStamp);
  }

  /** Take note of where the window's events go: what is pressed in it says that they come here. */
  #turned({ type, target, isTrusted, repeat }) {
    const pressed = type === "keydown" || type === "pointerdown";
    if (pressed ? !this.#blurred || !isTrusted || repeat : target !== window) return;
    this.#blurred = type === "blur";
    this.#focus();
  }

  #focus() {
    if (!this.focused && this.#held.length > 0) {
      this.#held = [];
      this.#holders.clear();
      this.#teller.changed(this.#held, performance.now());
    }
    this.#teller.focused(this.focused);
    document.body.classList.toggle("unfocused", !this.focused);
  }
}

function nameOf({ by, which }) {
  return `${by} ${which}`;
}
