/** Every text of the page, in one place: to translate it, translate this file. */

export const texts = {
  lang: "en",
  screen: (title) => `The game: ${title}`,
  seats: "Who plays",
  buttons: "Buttons",
  you: "you",
  playedBy: { person: "a person", policy: "a program" },
  leave: "Leave the game",
  leaveSure: "Sure? Press again to leave",

  connecting: ["Just a moment", "The page is connecting to the game."],
  leaving: ["Leaving the game", "The game is told when the connection is back. You can close this page."],
  reconnecting: ["Connection lost", "Trying to come back. Your seat is kept for you."],
  unreachable: ["The game is closed", "The program that runs it has ended. You can close this page."],
  waiting: ["Waiting for the others", (others) =>
    others === null ? "The game starts by itself when everybody is here."
    : others === 0 ? "Nobody else is here yet. The game starts by itself."
    : others === 1 ? "One other person is waiting too. The game starts by itself."
    : `${others} others are waiting too. The game starts by itself.`],
  waited: (seconds) => `You have waited ${seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`}.`,
  sound: "Tell me with a sound",
  inTitle: { waiting: "Waiting", countdown: "Get ready", paused: "One moment", over: "Over" },
  turn: { yours: "It is your turn.", others: "Another player's turn.", inTitle: "Your turn" },
  countdown: "Get ready",
  paused: "One moment",
  between: ["This round is over", "The next one starts when everybody is ready."],
  over: ["The game is over", "Thank you for playing."],
  close: "You can close this page.",
  won: "You won",
  lost: "You lost",
  drawn: "A draw",
  code: (code) => `Code of this game: ${code}`,
  taken: ["Open in another tab", "You are playing in another tab or window now."],
  takeBack: "Play here instead",
  dropped: ["Disconnected", "This page sent something that the game does not understand."],
  version: ["Please reload", "This page is older than the game."],
  reload: "Reload",
  full: ["All places are taken", "Please keep this page open. It tries again by itself every few seconds."],
  expired: ["This link has expired", "Please ask whoever gave it to you for a new one."],
  crashed: ["The game stopped", "The program that runs it has ended by itself. That was not your doing."],
  tryAgain: "Try again",
  closing: ["The game is closed", "No more games begin here for now."],
  elsewhere: ["Just a moment", "A place is being found for you."],
  next: "Continue",

  gone: {
    left: ["You left the game", ""],
    page_closed: ["The game went on without you", "This page was closed for too long."],
    page_unopened: ["The game did not wait", "Nobody opened this page in time."],
    page_dropped: ["Disconnected", "This page sent something that the game does not understand."],
  },
  reasons: {
    peer_left: "The other player left.",
    peer_failed: "The other player's program had a fault.",
    peer_reset: "The other player began again.",
    peer_lost: "The connection to the other player was lost.",
    peer_crashed: "The other player's program ended.",
    peer_away: "The other player was gone for too long.",
    peer_unresponsive: "The other player did not play any more.",
    peer_removed: "The other player's program sent what the game does not understand.",
    excluded: "The others went on without you: the connection to them was lost, or nothing was played here for too long.",
    input_timeout: "The other player did not play any more.",
    desync: "The players' games were no longer the same.",
    protocol_error: "The players' programs did not understand each other.",
    nobody_came: "Nobody came to play with you this time.",
    network_failed: "The connection was lost.",
    environment_failed: "The game had a fault.",
    failed: "The program that runs it had a fault.",
    interrupted: "It was stopped by whoever runs it.",
  },
  partner: {
    input: (who, seconds) => `Waiting for ${who ?? "your partner"} to play, up to ${seconds} s more.`,
    silent: (who, seconds) =>
      who === null
        ? `Your partner's connection is being restored, ${seconds} s left.`
        : `The connection to ${who} is being restored, ${seconds} s left.`,
    away: (who, seconds) => `${who ?? "Your partner"} is gone for now and may come back, up to ${seconds} s more.`,
    reset: (who, seconds) => `Waiting until ${who ?? "your partner"} is ready, up to ${seconds} s more.`,
  },
  quality: {
    good: "Your connection is good.",
    warning: "Your connection is slow.",
    critical: "Your connection is very slow.",
  },
  simplified: "Your connection is slow: the picture is simpler for now.",
  gamepad: {
    connected: "Gamepad connected.",
    disconnected: "Gamepad disconnected.",
    unknown: "Your browser does not know the buttons of this gamepad.",
  },
  unfocused: {
    keys: "Click here, or press Tab, to play: the keys go elsewhere now.",
    touch: "Touch the page to play on.",
  },
  arrows: { up: "↑", left: "←", down: "↓", right: "→" },
  keyNames: { ArrowUp: "up", ArrowDown: "down", ArrowLeft: "left", ArrowRight: "right" },
};
