/** Buttons for fingers, made of the table of keys: crosses for directions, and one for every other key. */

import { CROSSES, groups } from "./groups.js";
import { texts } from "./texts.js";

const MANY = 6; // buttons, beyond which they are smaller
const SQUARE = [..."QWEASDZXC"].map((letter) => `Key${letter}`); // keys that lie like the cells of a board

/** Fill a box with buttons. */
export function makePad(box, controls, board) {
  const { crosses, others } = groups(controls);
  const [first, ...more] = crosses.map(cross);
  box.replaceChildren(...[first, actions(others), ...more].filter(Boolean));
  followFingers(box, board);
}

/** Grey out what stands for controls that are illegal now, all of them: their places are in `data-places`. */
export function greyOut(box, illegal) {
  for (const one of box.querySelectorAll("[data-places]")) {
    const places = one.dataset.places.split(" ").filter(Boolean).map(Number);
    const off = places.length > 0 && places.every((place) => illegal.includes(place));
    one.classList.toggle("illegal", off);
    if (one instanceof HTMLButtonElement) one.setAttribute("aria-disabled", String(off));
  }
}

function actions(others) {
  if (others.length === 0) return null;
  const made = document.createElement("div");
  const square = SQUARE.every((code) => others.some((one) => one.code === code));
  made.className = ["actions", square && "square", others.length > MANY && "many"].filter(Boolean).join(" ");
  const place = ({ code }) => (SQUARE.includes(code) ? SQUARE.indexOf(code) : SQUARE.length);
  const sorted = square ? others.toSorted((one, other) => place(one) - place(other)) : others;
  made.append(...sorted.map((one) => button(one)));
  return made;
}

function cross(found) {
  const made = document.createElement("div");
  made.className = "cross";
  made.append(...found.map((one) => button(one, directionOf(one.code))));
  return made;
}

function directionOf(code) {
  const place = CROSSES.map((codes) => codes.indexOf(code)).find((found) => found >= 0);
  return ["up", "left", "down", "right"][place];
}

function button({ code, label, name, places }, direction = null) {
  const made = document.createElement("button");
  made.type = "button";
  made.tabIndex = -1; // whoever has a keyboard uses its keys
  made.dataset.code = code;
  made.dataset.places = places.join(" ");
  if (direction !== null) made.dataset.direction = direction;
  made.textContent = direction !== null ? texts.arrows[direction] : label || name;
  made.setAttribute("aria-label", label || texts.keyNames[code] || name);
  return made;
}

/** Hold the button under every finger, also of one that slides from one to the next. */
function followFingers(box, board) {
  const under = new Map();
  const move = (event, code) => {
    const finger = { by: "touch", which: event.pointerId };
    const before = under.get(event.pointerId);
    if (before === code) return;
    if (before !== undefined) board.release(before, finger, event.timeStamp);
    if (code === undefined) under.delete(event.pointerId);
    else {
      under.set(event.pointerId, code);
      board.press(code, finger, event.timeStamp);
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
