/** The page of one person: puts the line, the screen and the keys together, and says in words how it stands. */

import { Gamepads } from "./gamepads.js";
import { KeyBoard } from "./keys.js";
import { Link } from "./link.js";
import { greyOut, makePad } from "./pad.js";
import { Screen } from "./screen.js";
import * as sound from "./sound.js";
import { Tabs } from "./tabs.js";
import { KeyTeller } from "./telling.js";
import { texts } from "./texts.js";

const $ = (id) => document.getElementById(id);
const WAITED_STEP_S = 10; // a screen reader reads each
const NOTICE_MS = 5000;
const openedAt = performance.now();
let finished = false;
let taken = false; // whether another tab or window has the seat
let leaving = false; // whether they have said so, which the game may not have heard
let simplified = false; // whether it is said that the picture is
let notice = ""; // what is said for a moment, of a gamepad
let said = ""; // what was read aloud last
let last = {}; // what was told of the game last
const FULL_AGAIN_MS = 10_000;
const ANSWER_LIMIT_MS = 10_000;
const NOT_FOUND = 404;
const NOT_LET_IN = [401, 403];
const OURS = "Gym-P2P"; // a header of the game's own answers to this page; another 404 is of somebody in front of it

const link = new Link({
  opened: () => {
    screen.restart();
    board.restart();
    if (leaving) sayGoodbye();
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
  broken: () => {
    if (!finished) card(leaving ? texts.leaving : texts.reconnecting);
    status();
  },
  closed: (why) => ended(why),
});
const tabs = new Tabs((state) => taken && tell(state)); // that it is over
const screen = new Screen($("screen"), link);
const teller = new KeyTeller(link);
const board = new KeyBoard(teller);
const gamepads = new Gamepads(board, (what) => note(texts.gamepad[what]));
for (const change of ["focus", "blur", "visibilitychange", "keydown", "pointerdown"]) addEventListener(change, () => status(), true);

document.documentElement.lang = texts.lang;
document.title = texts.connecting[0];
$("seats").setAttribute("aria-label", texts.seats);
$("pad").setAttribute("aria-label", texts.buttons);
card(texts.connecting);
// For whoever looks from outside, as tests do.
window.page = {
  screen,
  link,
  get told() {
    return last;
  },
};

/** Go where the host has a seat for whoever comes through its door; the way back does not lead through it again. */
function elsewhere({ token }) {
  location.replace(`../${encodeURIComponent(token)}/`);
}

function hear(message) {
  if (message.t === "welcome") welcome(message);
  else if (message.t === "state") told(message);
  else if (message.t === "elsewhere") elsewhere(message);
  else if (message.t === "heard") teller.heard(message.seq);
}

function told(state) {
  tell(state);
  if (finished) tabs.tell(state);
}

function status() {
  set($("status"), line(last));
}

function welcome({ title, controls }) {
  $("title").textContent = title;
  $("screen").setAttribute("aria-label", texts.screen(title));
  board.use(controls);
  gamepads.use(controls);
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
  controls.forEach(({ codes, keys, label }, place) => {
    if (codes.length > 1) return;
    const words = label || texts.keyNames[codes[0]] || "";
    const { keys: before = [], places = [] } = byLabel.get(words) ?? {};
    byLabel.set(words, { keys: [...before, keys[0]], places: [...places, place] });
  });
  $("controls").replaceChildren(
    ...[...byLabel].map(([label, { keys, places }]) => {
      const row = document.createElement("div");
      row.dataset.places = places.join(" ");
      const term = document.createElement("dt");
      term.append(...keys.map((key) => Object.assign(document.createElement("kbd"), { textContent: key })));
      row.append(term, Object.assign(document.createElement("dd"), { textContent: label }));
      return row;
    }),
  );
}

/** Say how the game stands. All of it comes as texts and numbers, and is put there as text. */
function tell(state) {
  if (state.title) $("title").textContent = state.title; // where it is over, nobody welcomes
  seats(state.seats ?? []);
  $("message").textContent = state.text ?? "";
  document.body.dataset.phase = state.phase;
  if (state.gone) {
    finished = true;
    lastCard(texts.gone[state.gone] ?? texts.over, "", state);
  } else if (state.phase === "waiting") {
    const [head, text] = texts.waiting;
    card([head, text(state.waiting?.others ?? null)], waited(), "", audible());
  } else if (state.phase === "returning") {
    card(texts.returning);
  } else if (state.phase === "countdown") {
    if (last.phase !== "countdown") sound.ring();
    const before = texts.before[state.before];
    card([String(state.countdown), [before, texts.countdown].filter(Boolean).join(" ")], "", "big");
  } else if (state.phase === "paused" && state.partner) {
    const { who, why, leftS } = state.partner;
    card([texts.paused, texts.partner[why](state.seats.length > 2 ? who : null, leftS)]);
  } else if (state.phase === "between" || state.phase === "over") {
    finished = state.phase === "over";
    if (finished) lastCard(result(state), state.code ? texts.code(state.code) : "", state);
    else card(result(state));
  } else {
    card(null);
  }
  greyOut(document.body, state.illegal ?? []);
  last = state;
  document.body.classList.toggle("turn", state.phase === "playing" && state.turn === true);
  const phase = state.gone ? "over" : state.phase;
  const head = phase === "playing" ? state.turn && texts.turn.inTitle : texts.inTitle[phase];
  document.title = [head, $("title").textContent].filter(Boolean).join(" · ");
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

/** What is next when it is over, as a button; null is nothing. */
function onwards({ next, again }) {
  if (again) return [texts.tryAgain, anew];
  return next ? [texts.next, () => location.assign(next)] : null;
}

/** Say that it is over, and what is next. */
function lastCard([head, text], code, state) {
  const button = onwards(state);
  card([head, [text, button === null ? texts.close : ""].filter(Boolean).join(" ")], code, "", button);
}

/** A button by which the person is told with a sound that it starts; null where they are. */
function audible() {
  return sound.audible() ? null : [texts.sound, () => sound.allow().then(() => tell(last))];
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

/** Say something for a moment. */
function note(text) {
  notice = text;
  status();
  setTimeout(() => {
    if (notice === text) notice = "";
    status();
  }, NOTICE_MS);
}

function line({ quality, turn, away, seats: all, phase: now }) {
  if (finished || !link.open) return "";
  if (notice) return notice;
  if (!board.focused && ["playing", "paused", "countdown"].includes(now)) return texts.unfocused[$("pad").hidden ? "keys" : "touch"];
  if (now !== "playing") return "";
  const whose = { true: texts.turn.yours, false: texts.turn.others }[turn];
  const gone = away && texts.away[away.by](all.length > 2 ? away.who : null);
  return [whose, gone, screen.simplified ? texts.simplified : texts.quality[quality]].filter(Boolean).join(" ");
}

/** Lay a card over the game: a head, a text, perhaps a code and a button; null takes it away. */
function card(words, code = "", kind = "", button = null) {
  $("card").hidden = words === null;
  $("card").className = kind;
  say(words ?? []);
  if (words === null) return;
  set($("card-head"), words[0]);
  set($("card-text"), words[1]);
  set($("card-code"), code);
  $("card-button").hidden = button === null;
  if (button !== null) {
    $("card-button").disabled = false;
    $("card-button").textContent = button[0];
    $("card-button").onclick = button[1];
  }
}

/** Have a screen reader read a card; where only its numbers are others, it has been read. */
function say(words) {
  const sentence = words.filter(Boolean).join(". ");
  if (sentence.replace(/\d+/g, "") === said.replace(/\d+/g, "")) return;
  said = sentence;
  $("said").textContent = sentence;
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text; // or a screen reader would read it again
}

function ended(why) {
  taken = why === "taken";
  if (why === "taken") lastWords(texts.taken, [texts.takeBack, anew]);
  else if (why === "version") lastWords(texts.version, [texts.reload, anew]);
  else if (why === "crashed") lastWords(texts.crashed, last.again === false ? null : [texts.tryAgain, anew]);
  else if (why === "unreachable" && !finished) notServed(texts.unreachable);
  else if (!finished || why === "full") lastWords(texts[why] ?? texts.over);
  if (why === "full") setTimeout(untilServed, FULL_AGAIN_MS);
  finished = true;
  status();
  quiet();
}

/** Say why nothing more happens here by itself; what is said of how the game ended has a title already. */
function lastWords(words, button = null) {
  card(words, "", "", button);
  if (!finished) document.title = words[0];
}

/**
 * Load the page anew where it is served, and return null; else return the words for why it is not: the browser would show
 * a page of its own.
 */
async function load() {
  const limit = AbortSignal.timeout(ANSWER_LIMIT_MS);
  const how = { method: "HEAD", redirect: "manual", signal: limit };
  const answer = await fetch(location.href, how).catch(() => null);
  if (answer === null) return texts.unreachable;
  if (answer.status === NOT_FOUND && answer.headers.has(OURS)) return texts.invalid;
  if (NOT_LET_IN.includes(answer.status) || answer.type === "opaqueredirect") return texts.refused;
  if (!answer.ok) return texts.unready;
  location.reload();
  return null;
}

/** Load the page anew, on a button. */
async function anew() {
  const button = $("card-button");
  button.disabled = true;
  const words = await load();
  if (words === null) return;
  notServed(words);
  button.focus(); // it lost it as it was disabled
}

/** Load the page anew by itself as soon as it is served. */
async function untilServed() {
  const words = await load();
  if (words === texts.invalid || words === texts.refused) notServed(words);
  else if (words !== null) setTimeout(untilServed, FULL_AGAIN_MS);
}

/**
 * Say why the page is not served; there is a button for another time, unless the link is not good any more. Who does not let
 * the person in says why on a page of its own.
 */
function notServed(words) {
  const buttons = new Map([[texts.invalid, null], [texts.refused, [texts.reload, () => location.reload()]]]);
  card(words, "", "", buttons.has(words) ? buttons.get(words) : [texts.tryAgain, anew]);
  document.title = words[0];
}

const leave = $("leave");
leave.textContent = texts.leave;
leave.onclick = () => {
  if (leave.textContent === texts.leave) {
    leave.textContent = texts.leaveSure;
    setTimeout(() => (leave.textContent = texts.leave), 4000);
  } else {
    leaving = true;
    sayGoodbye();
  }
  $("screen").focus();
};

function sayGoodbye() {
  if (!link.open) card(texts.leaving);
  link.send({ t: "leave" });
}
