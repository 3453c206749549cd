/** A sound for somebody who looked away. Browsers allow it once the person has done something on the page. */

let context = null;

/** Whether a sound would be heard. */
export function audible() {
  return context?.state === "running";
}

/** Call this where the person has pressed something; sounds at once, so that they know it. */
export async function allow() {
  try {
    context ??= new AudioContext();
    await context.resume();
    ring();
  } catch {
    context = null; // no sound here
  }
}

export function ring() {
  if (!audible()) return;
  for (const [at, hertz] of [[0, 587], [0.18, 880]]) {
    const tone = context.createOscillator();
    const loudness = context.createGain();
    const from = context.currentTime + at;
    loudness.gain.setValueAtTime(0.08, from);
    loudness.gain.exponentialRampToValueAtTime(0.001, from + 0.3);
    tone.connect(loudness).connect(context.destination);
    tone.frequency.value = hertz;
    tone.start(from);
    tone.stop(from + 0.3);
  }
}
