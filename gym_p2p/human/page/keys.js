/**
 * What is held: keys by their place on the keyboard, and buttons for fingers made of the same table. Knows codes; a
 * frame, a player or an action is not for a page to say.
 */

import { texts } from "./texts.js";

const DIRECTIONS = ["ArrowUp", "ArrowLeft", "ArrowDown", "ArrowRight"];
const MODIFIERS = { ctrlKey: ["ControlLeft", "ControlRight"], altKey: ["AltLeft", "AltRight"], metaKey: [] };
const TWINS = new Set(["KeyW", "KeyA", "KeyS", "KeyD"]);

export class KeyBoard {
  #codes = new Set();
  #held = [];
  #teller;

  /** @param teller is told every change of what is held, and of the focus. */
  constructor(teller) {
    this.#teller = teller;
    addEventListener("keydown", (event) => this.#key(event, true));
    addEventListener("keyup", (event) => this.#key(event, false));
    addEventListener("blur", () => this.#focus());
    addEventListener("focus", () => this.#focus());
    document.addEventListener("visibilitychange", () => this.#focus());
  }

  get focused() {
    return document.hasFocus() && document.visibilityState === "visible";
  }

  /** Begin with a process that has heard nothing. */
  restart() {
    this.#teller.restart();
    this.#held = [];
    this.#focus();
  }

  /** Take the keys of the controls: all others are the browser's. */
  use(controls) {
    this.#codes = new Set(controls.flatMap(({ codes }) => codes));
  }

  press(code, at) {
    if (this.#held.includes(code)) return;
    this.#held.push(code);
    this.#teller.changed(this.#held, code, at);
  }

  release(code, at) {
    if (!this.#held.includes(code)) return;
    this.#held = this.#held.filter((other) => other !== code);
    this.#teller.changed(this.#held, null, at);
  }

  #key(event, down) {
    const forButton = event.target instanceof HTMLButtonElement && ["Space", "Enter"].includes(event.code);
    const foreign = Object.entries(MODIFIERS).some(([flag, codes]) => event[flag] && !codes.some((code) => this.#codes.has(code)));
    if (!event.isTrusted || !this.#codes.has(event.code) || (down && (forButton || foreign))) return;
    event.preventDefault();
    if (down && !event.repeat) this.press(event.code, event.timeStamp);
    if (!down) this.release(event.code, event.timeStamp);
  }

  #focus() {
    if (!this.focused && this.#held.length > 0) {
      this.#held = [];
      this.#teller.changed(this.#held, null, performance.now());
    }
    this.#teller.focused(this.focused);
    document.body.classList.toggle("unfocused", !this.focused);
  }
}

/** Fill a box with buttons: a cross for the arrows, and one for every other key that stands alone. */
export function makePad(box, controls, board) {
  const single = controls.filter(({ codes }) => codes.length === 1);
  const byCode = new Map(single.map((control) => [control.codes[0], control]));
  const arrows = DIRECTIONS.filter((code) => byCode.has(code));
  const others = [...byCode.keys()].filter((code) => !arrows.includes(code) && !(arrows.length > 0 && TWINS.has(code)));
  const button = (code) => {
    const made = document.createElement("button");
    const { keys, label } = byCode.get(code);
    made.type = "button";
    made.tabIndex = -1; // whoever has a keyboard uses its keys
    made.dataset.code = code;
    made.textContent = code.startsWith("Arrow") ? keys[0] : label || keys[0];
    made.setAttribute("aria-label", label || texts.keyNames[code] || keys[0]);
    return made;
  };
  const cross = document.createElement("div");
  cross.className = "cross";
  cross.append(...arrows.map(button));
  const actions = document.createElement("div");
  actions.className = "actions";
  actions.append(...others.map(button));
  box.replaceChildren(cross, actions);
  followFingers(box, board);
}

/** Hold the button under every finger, also of one that slides from one to the next. */
function followFingers(box, board) {
  const under = new Map();
  const move = (event, code) => {
    const before = under.get(event.pointerId);
    if (before === code) return;
    if (before !== undefined) {
      under.delete(event.pointerId);
      if (![...under.values()].includes(before)) board.release(before, event.timeStamp);
    }
    if (code !== undefined) {
      under.set(event.pointerId, code);
      board.press(code, event.timeStamp);
    }
    for (const one of box.querySelectorAll("button")) {
      one.classList.toggle("held", [...under.values()].includes(one.dataset.code));
    }
  };
  const at = (event) => document.elementFromPoint(event.clientX, event.clientY)?.closest?.("#pad button")?.dataset.code;
  box.onpointerdown = (event) => {
    event.preventDefault();
    box.setPointerCapture(event.pointerId);
    move(event, at(event));
  };
  box.onpointermove = (event) => box.hasPointerCapture(event.pointerId) && move(event, at(event));
  box.onpointerup = box.onpointercancel = (event) => move(event, undefined);
  box.oncontextmenu = (event) => event.preventDefault();
}
