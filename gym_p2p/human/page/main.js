/** The page of one person: puts the line, the screen and the keys together, and says in words how it stands. */

import { KeyBoard, makePad } from "./keys.js";
import { Link } from "./link.js";
import { Screen } from "./screen.js";
import { KeyTeller } from "./telling.js";
import { texts } from "./texts.js";

const $ = (id) => document.getElementById(id);
const WAITED_STEP_S = 10; // a screen reader reads each
const openedAt = performance.now();
let finished = false;
let simplified = false; // whether it is said that the picture is
let last = {}; // what was told of the game last

const link = new Link({
  opened: () => {
    screen.restart();
    board.restart();
  },
  frame: (buffer) => {
    screen.receive(buffer);
    teller.again();
    if (screen.simplified !== simplified) {
      simplified = screen.simplified;
      status();
    }
  },
  message: hear,
  broken: () => finished || card(texts.reconnecting),
  closed: (why) => ended(why),
});
const screen = new Screen($("screen"), link);
const teller = new KeyTeller(link);
const board = new KeyBoard(teller);
for (const change of ["focus", "blur", "visibilitychange"]) addEventListener(change, () => status(), true);

card(texts.connecting);
window.page = { screen, link }; // for whoever looks from outside, as tests do

function hear(message) {
  if (message.t === "welcome") welcome(message);
  else if (message.t === "state") tell(message);
  else if (message.t === "heard") teller.heard(message.seq);
}

function status() {
  set($("status"), line(last));
}

function welcome({ title, controls }) {
  document.title = title;
  $("title").textContent = title;
  $("screen").setAttribute("aria-label", texts.screen(title));
  board.use(controls);
  makePad($("pad"), controls, board);
  list(controls);
  if (matchMedia("(pointer: coarse)").matches) showPad();
}
addEventListener("pointerdown", (event) => event.pointerType === "touch" && showPad());

function showPad() {
  $("pad").hidden = false;
  $("controls").hidden = true;
}

/** Show which keys do what: several for one action stand together; combinations are left out, for they follow. */
function list(controls) {
  const byLabel = new Map();
  for (const { codes, keys, label } of controls) {
    if (codes.length > 1) continue;
    const words = label || texts.keyNames[codes[0]] || "";
    byLabel.set(words, [...(byLabel.get(words) ?? []), keys[0]]);
  }
  $("controls").replaceChildren(
    ...[...byLabel].map(([label, keys]) => {
      const row = document.createElement("div");
      const term = document.createElement("dt");
      term.append(...keys.map((key) => Object.assign(document.createElement("kbd"), { textContent: key })));
      row.append(term, Object.assign(document.createElement("dd"), { textContent: label }));
      return row;
    }),
  );
}

/** Say how the game stands. All of it comes as texts and numbers, and is put there as text. */
function tell(state) {
  seats(state.seats ?? []);
  $("message").textContent = state.text ?? "";
  document.body.dataset.phase = state.phase;
  if (state.gone) {
    finished = true;
    card(texts.gone[state.gone] ?? texts.over);
  } else if (state.phase === "waiting") {
    const [head, text] = texts.waiting;
    card([head, text(state.waiting?.others ?? null)], waited());
  } else if (state.phase === "countdown") {
    if (last.phase !== "countdown") beep();
    card([String(state.countdown), texts.countdown], "", "big");
  } else if (state.phase === "paused" && state.partner) {
    const { who, why, leftS } = state.partner;
    card([texts.paused, texts.partner[why](who, leftS)]);
  } else if (state.phase === "between" || state.phase === "over") {
    finished = state.phase === "over";
    card(result(state), finished && state.code ? texts.code(state.code) : "");
  } else {
    card(null);
  }
  last = state;
  status();
  quiet();
}

/** Say for how long the page has been open; it is told of changes alone, and time is none. */
function waited() {
  const steps = Math.floor((performance.now() - openedAt) / 1000 / WAITED_STEP_S);
  return steps > 0 ? texts.waited(steps * WAITED_STEP_S) : "";
}
setInterval(() => last.phase === "waiting" && link.open && tell(last), 1000);

/** Take away what nobody can use any more; what stands around it stays where it is. */
function quiet() {
  $("leave").classList.toggle("gone", finished);
  document.body.classList.toggle("quiet", finished);
}

function result(state) {
  const [head, text] = texts[state.phase];
  const { result: how, reason } = state.ending ?? {};
  return [texts[how] ?? head, [texts.reasons[reason], text].filter(Boolean).join(" ")];
}

function seats(all) {
  $("seats").replaceChildren(
    ...all.map(({ seat, you, score, playedBy }) => {
      const item = document.createElement("li");
      const who = you ? texts.you : texts.playedBy[playedBy];
      item.className = you ? "you" : "";
      item.append(
        Object.assign(document.createElement("span"), { textContent: who ? `${seat} (${who})` : seat }),
        Object.assign(document.createElement("b"), { textContent: score === null ? "" : String(score) }),
      );
      return item;
    }),
  );
}

function line({ quality, phase: now }) {
  if (!board.focused && ["playing", "paused", "countdown"].includes(now)) return texts.unfocused;
  if (now === "playing" && screen.simplified) return texts.simplified;
  return now === "playing" ? (texts.quality[quality] ?? "") : "";
}

/** Lay a card over the game: a head, a text, perhaps a code and a button; null takes it away. */
function card(words, code = "", kind = "", button = null) {
  $("card").hidden = words === null;
  $("card").className = kind;
  if (words === null) return;
  set($("card-head"), words[0]);
  set($("card-text"), words[1]);
  set($("card-code"), code);
  $("card-button").hidden = button === null;
  if (button !== null) {
    $("card-button").textContent = button[0];
    $("card-button").onclick = button[1];
  }
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text; // or a screen reader would read it again
}

function ended(why) {
  const again = () => location.reload();
  if (why === "taken") card(texts.taken, "", "", [texts.takeBack, again]);
  else if (why === "version") card(texts.version, "", "", [texts.reload, again]);
  else if (!finished) card(texts[why] ?? texts.over);
  finished = true;
  quiet();
}

const leave = $("leave");
leave.textContent = texts.leave;
leave.onclick = () => {
  if (leave.textContent === texts.leave) {
    leave.textContent = texts.leaveSure;
    setTimeout(() => (leave.textContent = texts.leave), 4000);
  } else {
    link.send({ t: "leave" });
  }
  $("screen").focus();
};

/** Say that it starts, to somebody who looked away. Browsers allow it once the page was touched. */
function beep() {
  try {
    const context = new AudioContext();
    const tone = context.createOscillator();
    const loudness = context.createGain();
    loudness.gain.value = 0.05;
    tone.connect(loudness).connect(context.destination);
    tone.frequency.value = 660;
    tone.start();
    tone.stop(context.currentTime + 0.15);
    tone.onended = () => context.close();
  } catch {
    // no sound here
  }
}
