/** Ties everything together: one cursor, one view, one player. */

import { byId, clamp, clock, element, onTheme } from "./format.js";
import { createPlayer, unpackSound, wavOf } from "./sound.js";
import { createView } from "./view.js";
import { LANES } from "./lanes.js";
import { GUTTER, createChart, createOverview } from "./chart.js";
import { fillFigures, fillLegend, fillSettings, fillTable, fillTranscript } from "./panels.js";

const VERTICAL = new Set(["ArrowUp", "ArrowDown", "Home", "End"]); // they scroll the page elsewhere

/** Draw a call: its data, and its audio as page.py packs it. Gives what else may move the cursor. */
export function showCall(data, packed) {
  let cursor = 0; // ms
  let player = null;
  let due = false;
  const view = createView(data.duration, redraw);
  const chart = createChart(data, view);
  const overview = createOverview(data, view);
  fillFigures(data);
  fillLegend();
  fillTable(data, (at) => {
    setCursor(at);
    show(at, at);
  });
  fillSettings(data);
  const markTurn = fillTranscript(data, hear);
  chart.canvas.setAttribute("aria-label", describe(data));

  function redraw() {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      chart.draw();
      overview.draw();
      placeCursor();
    });
  }

  function placeCursor() {
    const x = chart.x(cursor);
    byId("cursor").hidden = x < GUTTER || x > chart.width;
    byId("cursor").style.transform = `translateX(${x}px)`;
    byId("clock").textContent = clock(cursor);
  }

  function setCursor(ms) {
    cursor = clamp(ms, 0, view.duration);
    if (player?.playing()) player.start(cursor);
    markTurn(cursor);
    placeCursor();
  }

  /** Bring a stretch into view, as close as is good for one turn. */
  function show(start, end) {
    const length = Math.min(view.end - view.start, Math.max(4000, (end - start) * 1.5));
    view.show((start + end - length) / 2, (start + end + length) / 2);
  }

  function hear(entry) {
    chart.selected = entry.end > entry.start ? entry : null;
    setCursor(entry.start);
    show(entry.start, entry.end);
    if (player && !player.playing()) toggle();
  }

  function toggle() {
    if (!player) return;
    if (player.playing()) {
      cursor = Math.min(player.position(), view.duration);
      player.stop();
    } else {
      if (cursor >= view.duration - 10) cursor = 0;
      player.start(cursor);
      requestAnimationFrame(run);
    }
    showPlaying();
  }

  function run() {
    if (!player.playing()) return;
    cursor = Math.min(player.position(), view.duration);
    markTurn(cursor);
    view.follow(cursor);
    placeCursor();
    requestAnimationFrame(run);
  }

  function showPlaying() {
    const playing = player.playing();
    byId("play").classList.toggle("playing", playing);
    byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  function stepTurn(by) {
    const turns = data.transcript.filter((entry) => entry.who !== "note");
    const now = turns.findLastIndex((entry) => entry.start <= cursor + 1);
    const turn = turns[clamp(now + by, 0, turns.length - 1)];
    if (!turn) return;
    chart.selected = turn;
    setCursor(turn.start);
    show(turn.start, turn.end);
  }

  /** Go to the caller's turn of this number, from 1. */
  function goTo(number) {
    const turn = data.transcript.filter((entry) => entry.who === "caller")[number - 1];
    if (!turn) return;
    chart.selected = turn;
    setCursor(turn.start);
    show(turn.start, turn.end);
  }

  async function openSound() {
    let sound = null;
    try {
      sound = await unpackSound(data.audio, packed);
    } catch (error) {
      byId("sound-note").textContent = `The audio cannot be unpacked here: ${error.message}`;
      return;
    }
    if (!sound) {
      byId("sound-note").textContent = "no audio on the tape";
      return;
    }
    chart.sound = overview.sound = sound;
    player = createPlayer(sound, showPlaying);
    for (const id of ["play", "listen", "save"]) byId(id).disabled = false;
    byId("save").addEventListener("click", () => save(wavOf(sound), `${data.call.id || "call"}.wav`));
    redraw();
  }

  byId("play").addEventListener("click", toggle);
  byId("listen").addEventListener("change", (event) => player.listen(event.target.value));
  byId("zoom-in").addEventListener("click", () => view.zoom(0.6, zoomCenter()));
  byId("zoom-out").addEventListener("click", () => view.zoom(1 / 0.6, zoomCenter()));
  byId("zoom-fit").addEventListener("click", view.fit);

  function zoomCenter() {
    return cursor >= view.start && cursor <= view.end ? cursor : (view.start + view.end) / 2;
  }

  const keys = {
    " ": toggle,
    "+": () => view.zoom(0.6, zoomCenter()),
    "=": () => view.zoom(0.6, zoomCenter()),
    "-": () => view.zoom(1 / 0.6, zoomCenter()),
    "0": view.fit,
    ArrowLeft: (event) => move(event.shiftKey ? -20 : -500),
    ArrowRight: (event) => move(event.shiftKey ? 20 : 500),
    ArrowUp: () => stepTurn(-1),
    ArrowDown: () => stepTurn(1),
    Home: () => move(-view.duration),
    End: () => move(view.duration),
  };

  function move(ms) {
    setCursor((player?.playing() ? player.position() : cursor) + ms);
    view.follow(cursor);
  }

  /** Scrolling keys belong to whatever scrolls; a button keeps its space. */
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    if (event.target.closest("input, summary, .scroll")) return;
    if (event.key === " " && event.target.closest("button:not(.entry)")) return;
    if (VERTICAL.has(event.key) && !event.target.closest(".stage")) return;
    event.preventDefault();
    keys[event.key](event);
  });

  document.addEventListener("keyup", (event) => {
    if (event.key === " " && event.target.closest(".entry")) event.preventDefault();
  });

  listenToMouse({ chart, view, setCursor, hear, redraw });
  onTheme(redraw);
  new ResizeObserver(redraw).observe(byId("chart"));
  markTurn(0);
  redraw();
  openSound();
  return { goTo };
}

/** Wheel zooms, drag pans, drag on the ruler zooms in, a click sets the cursor, hovering explains. */
function listenToMouse({ chart, view, setCursor, hear, redraw }) {
  const area = byId("chart");
  let drag = null;

  area.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const across = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.shiftKey ? event.deltaY : 0;
      if (across) view.pan((across / chart.width) * (view.end - view.start));
      else view.zoom(1.0016 ** clamp(event.deltaY, -240, 240), chart.ms(Math.max(GUTTER, place(event).x)));
    },
    { passive: false },
  );
  area.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    area.setPointerCapture(event.pointerId);
    const { x, y } = place(event);
    drag = { x, from: chart.ms(x), start: view.start, ruler: y < LANES[0].height, moved: false };
    hide();
  });
  area.addEventListener("pointermove", (event) => {
    const { x, y } = place(event);
    if (!drag) return explain(x, y);
    if (!drag.moved && Math.abs(x - drag.x) < 4) return undefined;
    drag.moved = true;
    if (drag.ruler) return mark(x);
    return view.pan(drag.start - ((x - drag.x) / (chart.width - GUTTER)) * (view.end - view.start) - view.start);
  });
  area.addEventListener("pointerup", (event) => {
    const { x, y } = place(event);
    const done = drag;
    drag = null;
    if (!done) return;
    if (!done.moved) pick(x, y);
    else if (done.ruler) zoomTo(done.from, chart.ms(x));
  });
  area.addEventListener("pointercancel", () => {
    drag = null;
  });
  area.addEventListener("pointerleave", hide);

  function place(event) {
    const box = area.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  function mark(x) {
    const [start, end] = [drag.from, chart.ms(x)].sort((one, other) => one - other);
    chart.selected = { start, end };
    redraw();
  }

  function zoomTo(one, other) {
    chart.selected = null;
    view.show(Math.min(one, other), Math.max(one, other));
  }

  function pick(x, y) {
    const entry = chart.find(x, y)?.entry;
    if (entry) hear(entry);
    else if (x >= GUTTER) setCursor(chart.ms(x));
  }

  function explain(x, y) {
    const hit = x >= GUTTER ? chart.find(x, y) : null;
    const tip = byId("tip");
    tip.hidden = x < GUTTER;
    if (tip.hidden) return;
    tip.textContent = !hit ? clock(chart.ms(x)) : typeof hit.text === "function" ? hit.text(chart.ms(x)) : hit.text;
    const left = clamp(x + 14, 0, chart.width - tip.offsetWidth - 4);
    const top = y + 18 + tip.offsetHeight > chart.height ? y - tip.offsetHeight - 10 : y + 18;
    tip.style.transform = `translate(${left}px, ${Math.max(0, top)}px)`;
  }

  function hide() {
    byId("tip").hidden = true;
  }
}

function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name.replace(/[^\w.-]+/g, "_") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** The chart in one sentence, for those who do not see it; transcript and table tell the rest. */
function describe(data) {
  const turns = data.transcript.filter((entry) => entry.who === "caller").length;
  return `Timeline of ${(data.duration / 1000).toFixed(0)} seconds with ${turns} turns of the caller; the transcript and the table of events tell the same in words.`;
}
