/** The keys of a table, sorted for hands: which of them are directions, and which one stands for several. */

/** Up, left, down, right, of the groups of keys that lie like arrows. */
export const CROSSES = [
  ["ArrowUp", "ArrowLeft", "ArrowDown", "ArrowRight"],
  ["KeyW", "KeyA", "KeyS", "KeyD"],
  ["KeyI", "KeyJ", "KeyK", "KeyL"],
];

/**
 * Return `{ crosses, others }` of a table: lists of `{ code, label, name, places }`, in which every key that does
 * something has a place, and of several keys that do the same only one. Letters lie like arrows beside arrows alone:
 * without these, they are whatever they are.
 *
 * @param controls each with its `codes`, their names as `keys`, a `label`, and as `same` the first control that does
 *   the same.
 */
export function groups(controls) {
  const chosen = chosenKeys(controls);
  const crosses = [];
  for (const codes of CROSSES) {
    const found = codes.filter((code) => chosen.has(code));
    if (found.length < 2 || (codes !== CROSSES[0] && crosses.length === 0)) continue;
    crosses.push(found.map((code) => chosen.get(code)));
    for (const code of found) chosen.delete(code);
  }
  return { crosses, others: [...chosen.values()] };
}

function chosenKeys(controls) {
  const bySame = new Map();
  const alone = new Set();
  controls.forEach(({ codes: [code, ...more], keys: [name], label, same }, place) => {
    if (more.length > 0) return;
    alone.add(code);
    const before = bySame.get(same);
    const places = [...(before?.places ?? []), place];
    const stays = before !== undefined && (before.code.startsWith("Arrow") || !code.startsWith("Arrow"));
    bySame.set(same, { ...(stays ? before : { code, label, name }), places });
  });
  const chosen = new Map([...bySame.values()].map((one) => [one.code, one]));
  for (const { codes, keys } of controls) {
    codes.forEach((code, index) => {
      // It only does something together with others.
      if (!alone.has(code)) chosen.set(code, { code, label: "", name: keys[index], places: [] });
    });
  }
  return chosen;
}
