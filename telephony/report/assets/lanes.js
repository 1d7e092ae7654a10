/** The lanes of the chart, each drawn by a function of its own.
 *
 * A pen carries what they share: context, colors, x (ms to px), view, left and right edge, and `hit`, which takes the
 * rectangles that explain themselves when the mouse is over them.
 */

import { clock, lowerBound, millis } from "./format.js";
import { rangeOf } from "./sound.js";

export const STATES = ["idle", "listening", "processing", "speaking", "interrupted", "hold", "taken_over", "connecting", "ended"];
export const WAITS = {
  decide: "silence → decided",
  answer: "decided → heard",
  pause: "speech → pause",
  resume: "pause → went on",
  interrupt: "pause → gave way",
};
const TICKS = {
  media: "faint", mark: "agent", back: "agent", clear: "bad", gap: "bad", hole: "bad", key: "accent", press: "accent", end: "ink", other: "ink",
  partial: "caller", asked: "answer", text: "muted", made: "agent", cancel: "interrupt", failed: "bad", tools: "answer",
};
export const TICK_LEGEND = {
  faint: "audio handed over", agent: "marks (below: come back), audio made", bad: "clear, gap, dry, failed", accent: "key",
  caller: "transcripts", answer: "asked, tools", muted: "words", interrupt: "cancelled",
};
const SHORT = { clear: "clear", hole: "dry", gap: "gap", failed: "failed", cancel: "cancel" }; // named beside their ticks

export const LANES = [
  { name: "", height: 22, draw: drawRuler },
  { name: "State", height: 20, draw: drawStates },
  { name: "Caller", height: 104, draw: (pen, box) => drawSide(pen, box, "caller") },
  { name: "Speech p", height: 52, draw: drawSpeech },
  { name: "Agent\nat the ear", height: 104, draw: (pen, box) => drawSide(pen, box, "agent") },
  { name: "Latency", height: 44, draw: drawWaits },
  { name: "Line", height: 40, draw: (pen, box) => drawTicks(pen, box, "line") },
  { name: "Engine", height: 40, draw: (pen, box) => drawTicks(pen, box, "engine") },
];
export const GAP = 6; // px between lanes
const WORD = 64; // px a word must have on average to stand in its own place
const TURN = 24; // px of a turn's box above its waveform

function drawRuler(pen, box) {
  const { context, view } = pen;
  const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 15000, 30000, 60000, 300000, 600000, 3600000];
  const step = steps.find((ms) => pen.x(ms) - pen.x(0) >= 76) ?? steps.at(-1);
  context.fillStyle = pen.color("muted");
  context.textBaseline = "middle";
  for (let ms = Math.ceil(view.start / step) * step; ms <= view.end; ms += step) {
    const x = Math.round(pen.x(ms)) + 0.5;
    context.strokeStyle = pen.color("rule");
    line(context, x, box.y + 18, x, pen.height);
    context.fillText(step >= 1000 ? clock(ms).slice(0, -4) : clock(ms), x + 4, box.y + 9);
  }
}

function drawStates(pen, box) {
  for (const { name, start, end } of pen.data.states) {
    const [x, width] = pen.span(start, end);
    if (!width) continue;
    pen.context.fillStyle = pen.color(STATES.includes(name) ? name : "idle");
    pen.context.fillRect(x, box.y, Math.max(1, width - 0.5), box.height);
    label(pen, name, x, box.y, width, box.height, "ink");
    pen.hit(x, box.y, width, box.height, `State: ${name}\n${clock(start)} – ${clock(end)} (${millis(end - start)})`);
  }
}

function drawSide(pen, box, who) {
  const wave = { y: box.y + TURN + 2, height: box.height - TURN - 2 };
  if (who === "agent") drawHeard(pen, wave);
  if (pen.sound) drawWave(pen, wave, pen.sound[who], pen.sound.peaks[who], who);
  else drawFlat(pen, wave, who);
  for (const entry of pen.data.transcript) {
    if (entry.who === who) drawTurn(pen, box, entry);
  }
}

function drawTurn(pen, box, entry) {
  const [x, width] = pen.span(entry.start, Math.max(entry.end, entry.start + 1), 3);
  if (!width) return;
  const { context } = pen;
  context.fillStyle = pen.color(`${entry.who}-soft`);
  context.strokeStyle = pen.color(entry.who);
  context.beginPath();
  context.roundRect(x + 0.5, box.y + 0.5, Math.max(2, width - 1), TURN - 1, 5);
  context.fill();
  context.stroke();
  const words = (entry.words ?? []).filter((word) => word.heard);
  const timed = words.length && words.every((word) => word.at !== null);
  if (timed && (pen.x(entry.end) - pen.x(entry.start)) / words.length > WORD) {
    drawWords(pen, box, words, entry.end);
  } else {
    const heard = entry.words?.length ? words.map((word) => word.text).join(" ") : entry.text;
    label(pen, heard + (entry.tags?.includes("interrupted") ? " ✂" : ""), x, box.y, width, TURN, "ink");
  }
  const length = `${clock(entry.start)} – ${clock(entry.end)} (${millis(entry.end - entry.start)})`;
  const name = `${entry.who === "caller" ? "Caller" : `Agent, reply ${entry.reply}`} ${length}`;
  pen.hit(x, box.y, width, TURN, [name, entry.text, ...(entry.facts ?? [])].filter(Boolean).join("\n"), entry);
}

/** Each word where the ear began to hear it. */
function drawWords(pen, box, words, end) {
  words.forEach((word, index) => {
    const x = pen.x(word.at);
    label(pen, word.text, x - 2, box.y, pen.x(words[index + 1]?.at ?? end) - x + 8, TURN, "ink");
  });
}

function drawWave(pen, box, samples, peaks, color) {
  const { context } = pen;
  const middle = box.y + box.height / 2;
  context.fillStyle = pen.color("rule");
  context.fillRect(pen.left, Math.round(middle), pen.right - pen.left, 1);
  context.fillStyle = pen.color(color);
  const step = 1 / pen.ratio;
  for (let x = pen.left; x < pen.right; x += step) {
    const [low, high] = rangeOf(samples, peaks, pen.ms(x), pen.ms(x + step));
    const top = middle - loud(high) * (box.height / 2);
    const bottom = middle - loud(low) * (box.height / 2);
    if (bottom - top > 0.6) context.fillRect(x, top, step, bottom - top);
  }
}

/** Quiet audio is drawn larger than it is, so that it can be seen. */
export function loud(sample) {
  return Math.sign(sample) * Math.min(1, Math.abs(sample)) ** 0.6;
}

/** Without audio: where the caller's speech was, as the voice detector told. */
function drawFlat(pen, box, who) {
  const { context, data } = pen;
  const middle = box.y + box.height / 2;
  context.fillStyle = pen.color(who);
  if (who === "agent") {
    for (const { start, end } of data.heard) bar(pen, start, end, middle - 10, 20);
    return;
  }
  data.speech.at.forEach((at, index) => {
    if (data.speech.value[index] >= data.speech.offset) bar(pen, at - 32, at, middle - 10, 20, 0.5);
  });
}

function drawHeard(pen, box) {
  pen.context.globalAlpha = 0.55;
  pen.context.fillStyle = pen.color("agent-soft");
  for (const { reply, start, end } of pen.data.heard) {
    const [x, width] = bar(pen, start, end, box.y, box.height);
    pen.hit(x, box.y, width, box.height, `Reply ${reply} at the ear\n${clock(start)} – ${clock(end)} (${millis(end - start)})`);
  }
  pen.context.globalAlpha = 1;
}

function drawSpeech(pen, box) {
  const { context, view } = pen;
  const { at, value, onset, offset } = pen.data.speech;
  const y = (share) => box.y + box.height - 1 - share * (box.height - 2);
  context.fillStyle = pen.color("soft");
  context.fillRect(pen.left, box.y, pen.right - pen.left, box.height);
  const first = Math.max(0, lowerBound(at.length, (index) => at[index], view.start) - 1);
  const last = Math.min(at.length, lowerBound(at.length, (index) => at[index] - 32, view.end) + 1);
  context.beginPath();
  context.moveTo(pen.x(at[first] ?? 0), y(0));
  for (let index = first; index < last; index++) {
    context.lineTo(pen.x(at[index] - 32), y(value[index]));
    context.lineTo(pen.x(at[index]), y(value[index]));
  }
  context.lineTo(pen.x(at[last - 1] ?? 0), y(0));
  context.fillStyle = pen.color("speech");
  context.globalAlpha = 0.25;
  context.fill();
  context.globalAlpha = 1;
  context.strokeStyle = pen.color("speech");
  context.stroke();
  threshold(pen, y(onset), "bad", `onset ${onset}`);
  threshold(pen, y(offset), "faint", "");
  pen.hit(pen.left, box.y, pen.right - pen.left, box.height, (ms) => {
    const index = lowerBound(at.length, (place) => at[place], ms);
    return index < at.length ? `Speech probability ${value[index]}\n${clock(ms)}; onset ${onset}, offset ${offset}` : clock(ms);
  });
}

function threshold(pen, y, color, text) {
  const { context } = pen;
  context.strokeStyle = context.fillStyle = pen.color(color);
  context.setLineDash([4, 3]);
  line(context, pen.left, Math.round(y) + 0.5, pen.right, Math.round(y) + 0.5);
  context.setLineDash([]);
  context.textAlign = "right";
  context.fillText(text, pen.right - 4, y - 7);
  context.textAlign = "left";
}

/** The waits for the agent in the upper row, those over the agent in the lower one; labels where there is room. */
function drawWaits(pen, box) {
  const upper = (wait) => wait.kind === "decide" || wait.kind === "answer";
  drawWaitRow(pen, box.y + 3, pen.data.latencies.filter(upper));
  drawWaitRow(pen, box.y + 26, pen.data.latencies.filter((wait) => !upper(wait)));
}

function drawWaitRow(pen, y, waits) {
  const { context } = pen;
  let joined = ""; // the label of the bar that this one goes on from
  waits.forEach((wait, index) => {
    const next = waits[index + 1];
    const text = wait.total === null ? "" : joined + millis(wait.total);
    joined = text && next?.start === wait.end ? `${text} + ` : "";
    const [x, width] = pen.span(wait.start, wait.end, 2);
    if (!width) return;
    context.fillStyle = pen.color(wait.kind);
    context.fillRect(x, y, Math.max(2, width - 0.5), 15);
    const times = `${clock(wait.start)} – ${clock(wait.end)}`;
    pen.hit(x, y - 3, width, 21, `${wait.label}: ${millis(wait.end - wait.start)}${chain(wait)}\n${times}`);
    const at = x + width + 4;
    const room = (next ? pen.x(next.start) : pen.right) - at;
    if (joined || !text || context.measureText(text).width > room) return;
    context.fillStyle = pen.color("ink");
    context.fillText(text, at, y + 8);
  });
}

function chain(wait) {
  const length = wait.end - wait.start;
  return wait.total !== null && Math.round(wait.total) !== Math.round(length) ? ` (${millis(wait.total)} in all)` : "";
}

/** On the line: what was handed over above, what came back below. In the engine: the caller above, the reply below. */
function drawTicks(pen, box, lane) {
  const { context } = pen;
  context.fillStyle = pen.color("soft");
  context.fillRect(pen.left, box.y, pen.right - pen.left, box.height);
  const ticks = pen.data.ticks.filter((tick) => tick.lane === lane);
  const named = (tick) => tick.kind === "key" || tick.kind === "press" || tick.kind in SHORT;
  let free = pen.left;
  for (const tick of ticks.filter((one) => !named(one))) drawTick(pen, box, tick);
  for (const tick of ticks.filter(named)) {
    const [x, y, height] = drawTick(pen, box, tick) ?? [0, 0, 0];
    const text = SHORT[tick.kind] ?? tick.label.split(" ")[1];
    if (!x || x < free) continue;
    const width = context.measureText(text).width;
    context.fillStyle = pen.color("soft");
    context.fillRect(x, y, width + 6, Math.min(height, 17));
    context.fillStyle = pen.color(TICKS[tick.kind]);
    context.fillText(text, x + 3, y + Math.min(height, 17) / 2);
    free = x + width + 6;
  }
}

/** Gives [right edge, top, height] of what it drew; null: the tick is out of view. */
function drawTick(pen, box, tick) {
  const { context } = pen;
  const [x, width] = pen.span(tick.start, tick.end ?? tick.start, 2);
  if (!width) return null;
  const half = box.height / 2;
  const whole = ["clear", "end", "hole", "failed", "cancel"].includes(tick.kind);
  const lower = ["back", "gap", "key", "text", "made", "tools"].includes(tick.kind);
  const y = box.y + (whole || !lower ? 2 : half + 1);
  const height = whole ? box.height - 4 : half - 3;
  context.fillStyle = pen.color(TICKS[tick.kind] ?? "ink");
  context.globalAlpha = tick.kind === "media" ? 0.6 : 0.9;
  context.fillRect(x, y, Math.max(1.5, width - 0.5), height);
  context.globalAlpha = 1;
  const length = tick.end ? ` (${millis(tick.end - tick.start)})` : "";
  pen.hit(x - 2, y, width + 4, height, `${tick.label}\n${clock(tick.start)}${length}`);
  return [x + width, y, height];
}

function bar(pen, start, end, y, height, overlap = 0) {
  const [x, width] = pen.span(start, end, 1);
  if (width) pen.context.fillRect(x, y, width + overlap, height);
  return [x, width];
}

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** Text within a box, shortened where it must be. */
function label(pen, text, x, y, width, height, color) {
  const { context } = pen;
  const room = width - 10;
  if (room < 18 || !text) return;
  let shown = text;
  if (context.measureText(shown).width > room) {
    const fits = (length) => context.measureText(`${text.slice(0, length)}…`).width <= room;
    const length = lowerBound(text.length, (index) => (fits(index + 1) ? 0 : 1), 1);
    if (!length) return;
    shown = `${text.slice(0, length).trimEnd()}…`;
  }
  context.fillStyle = pen.color(color);
  context.textBaseline = "middle";
  context.fillText(shown, x + 5, y + height / 2 + 0.5);
}
