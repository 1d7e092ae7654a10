/** How times and levels are shown while a call is on. */

export function since(startedMs, nowMs) {
  const seconds = Math.max(0, Math.floor((nowMs - startedMs) / 1000));
  const two = (number) => String(number % 60).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}:${two(seconds)}` : `${Math.floor(minutes / 60)}:${two(minutes)}:${two(seconds)}`;
}

/** The share of a meter for a level in dBFS: silence is below -60. */
export function loudness(db) {
  return Math.max(0, Math.min(1, (db + 60) / 60));
}

export function latency(ms) {
  return ms === null || ms === undefined ? "–" : `${Math.round(ms)} ms`;
}

/** What the last answer took, and whether its first audio came within the target after the turn was decided. */
export function showLatency(node, call, targetMs) {
  const judged = call.audio_ms !== null && call.audio_ms !== undefined;
  const verdict = !judged ? "" : call.audio_ms <= targetMs ? "met" : "missed";
  setText(node, verdict ? `${latency(call.latency_ms)}, ${verdict}` : latency(call.latency_ms));
  node.classList.toggle("missed", verdict === "missed");
  const title = judged ? `First audio ${call.audio_ms} ms after the turn was decided; target ${targetMs} ms` : "";
  if (node.title !== title) node.title = title;
}

/** Set a text only where it changes, which costs the page nothing otherwise. */
export function setText(node, text) {
  if (node.data !== undefined ? node.data !== text : node.textContent !== text) node.textContent = text;
}
