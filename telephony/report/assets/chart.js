/** The chart: lanes over one time axis, and the overview of the whole call above it. */

import { byId, element, onTheme } from "./format.js";
import { rangeOf } from "./sound.js";
import { GAP, LANES, loud } from "./lanes.js";

export const GUTTER = 74; // px left of the lanes, for their names

export function createChart(data, view) {
  const canvas = byId("canvas");
  const height = LANES.reduce((sum, lane) => sum + lane.height + GAP, 0);
  canvas.style.height = `${height}px`;
  const chart = { sound: null, selected: null, hits: [], width: 0, height };
  const colors = palette();

  function x(ms) {
    return GUTTER + ((ms - view.start) / (view.end - view.start)) * (chart.width - GUTTER);
  }

  function ms(px) {
    return view.start + ((px - GUTTER) / (chart.width - GUTTER)) * (view.end - view.start);
  }

  /** [left edge, width] of what is in view of a stretch of time, at least `least` px wide; width 0: nothing is. */
  function span(start, end, least = 1) {
    if (end < view.start || start > view.end) return [0, 0];
    const left = Math.max(GUTTER, x(start));
    return [left, Math.max(least, Math.min(chart.width, x(end)) - left)];
  }

  function draw() {
    const context = fitCanvas(canvas);
    chart.width = canvas.clientWidth;
    chart.hits = [];
    context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const pen = { context, data, view, x, ms, span, color: colors.get, sound: chart.sound, height, left: GUTTER };
    pen.right = chart.width;
    pen.ratio = devicePixelRatio || 1;
    pen.hit = (left, top, wide, high, text, entry = null) => chart.hits.push({ left, top, wide, high, text, entry });
    drawSelected(pen);
    let y = 0;
    for (const lane of LANES) {
      context.save();
      context.textBaseline = "middle";
      drawName(pen, lane, y);
      context.beginPath();
      context.rect(GUTTER, y, chart.width - GUTTER, height);
      context.clip();
      lane.draw(pen, { y, height: lane.height });
      context.restore();
      y += lane.height + GAP;
    }
  }

  function drawName(pen, lane, y) {
    pen.context.fillStyle = pen.color("muted");
    const lines = lane.name.split("\n");
    lines.forEach((text, index) => {
      pen.context.fillText(text, 0, y + lane.height / 2 + (index - (lines.length - 1) / 2) * 15);
    });
  }

  function drawSelected(pen) {
    if (!chart.selected) return;
    const [left, width] = span(chart.selected.start, chart.selected.end);
    pen.context.fillStyle = pen.color("select");
    pen.context.fillRect(left, 0, width, height);
  }

  /** What lies under the mouse, the smallest first. */
  function find(px, py) {
    const under = chart.hits.filter((hit) => px >= hit.left && px <= hit.left + hit.wide && py >= hit.top && py <= hit.top + hit.high);
    return under.sort((one, other) => one.wide - other.wide)[0] ?? null;
  }

  return Object.assign(chart, { canvas, x, ms, draw, find });
}

/** The colors of the style sheet, as they are now: they follow the system's choice of light or dark. */
function palette() {
  const probe = element("i", { hidden: true });
  document.body.append(probe);
  let known = new Map();
  onTheme(() => {
    known = new Map();
  });
  return {
    get(name) {
      if (!known.has(name)) {
        probe.style.color = `var(--${name})`;
        known.set(name, getComputedStyle(probe).color);
      }
      return known.get(name);
    },
  };
}

/** Gives the canvas as many pixels as the screen shows of it; drawing goes on in CSS pixels, on an empty sheet. */
function fitCanvas(canvas) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  return context;
}

/** The whole call, caller above and agent below, with a frame around what the chart shows. */
export function createOverview(data, view) {
  const canvas = byId("overview");
  const colors = palette();
  const overview = { sound: null };

  function draw() {
    const context = fitCanvas(canvas);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const x = (ms) => (ms / view.duration) * width;
    ["caller", "agent"].forEach((who, side) => {
      const middle = (height * (1 + 2 * side)) / 4;
      context.fillStyle = colors.get(who);
      if (overview.sound) {
        for (let px = 0; px < width; px++) {
          const [low, high] = rangeOf(overview.sound[who], overview.sound.peaks[who], (px / width) * view.duration, ((px + 1) / width) * view.duration);
          const size = Math.max(loud(high), -loud(low)) * (height / 4 - 1);
          if (size > 0.4) context.fillRect(px, middle - size, 1, 2 * size);
        }
      } else {
        for (const entry of data.transcript) {
          if (entry.who === who) context.fillRect(x(entry.start), middle - 4, Math.max(1, x(entry.end) - x(entry.start)), 8);
        }
      }
    });
    context.fillStyle = colors.get("card");
    context.globalAlpha = 0.65;
    context.fillRect(0, 0, x(view.start), height);
    context.fillRect(x(view.end), 0, width - x(view.end), height);
    context.globalAlpha = 1;
    context.strokeStyle = colors.get("accent");
    context.strokeRect(x(view.start) + 0.75, 0.75, Math.max(3, x(view.end) - x(view.start) - 1.5), height - 1.5);
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    center(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons) center(event);
  });

  function center(event) {
    const half = (view.end - view.start) / 2;
    const at = (event.offsetX / canvas.clientWidth) * view.duration;
    view.show(at - half, at + half);
  }

  return Object.assign(overview, { draw });
}
