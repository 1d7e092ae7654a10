/** Everything around the chart: figures, legend, transcript, table of events, settings. */

import { byId, clock, element, shortClock } from "./format.js";
import { STATES, TICK_LEGEND, WAITS } from "./lanes.js";

const PAGE = 400; // rows of the table that are shown at once

export function fillFigures(data) {
  for (const figure of data.figures) {
    const box = element("div", { title: figure.hint, className: figure.bad ? "bad" : "" });
    box.append(element("dt", {}, figure.label), element("dd", {}, figure.value));
    byId("figures").append(box);
  }
  byId("notices").append(...data.notices.map((text) => element("p", {}, text)));
}

export function fillLegend() {
  const key = (color, text) => {
    const sample = element("i");
    sample.style.background = `var(--${color})`;
    return element("span", {}, sample, text);
  };
  const group = (title, keys) => byId("legend").append(element("p", {}, element("b", {}, title), ...keys));
  group("State", STATES.map((name) => key(name, name)));
  group("Latency", Object.entries(WAITS).map(([name, text]) => key(name, text)));
  group("Ticks", Object.entries(TICK_LEGEND).map(([name, text]) => key(name, text)));
}

/** The transcript; `onPick` is told which entry was clicked. Gives a function that shows where the cursor is. */
export function fillTranscript(data, onPick) {
  const list = byId("transcript");
  const buttons = data.transcript.map((entry) => {
    const button = entryButton(entry);
    button.addEventListener("click", () => onPick(entry));
    list.append(element("li", {}, button));
    return button;
  });
  if (!buttons.length) list.append(element("li", { className: "muted nothing" }, "Nothing was said."));
  let now = null;
  return (ms) => {
    const index = data.transcript.findLastIndex((entry) => entry.who !== "note" && entry.start <= ms + 1);
    const next = buttons[index] ?? null;
    if (next === now) return;
    now?.classList.remove("now");
    now?.removeAttribute("aria-current");
    now = next;
    now?.classList.add("now");
    now?.setAttribute("aria-current", "true");
    if (now) reveal(list, now);
  };
}

/** Scroll the list alone, never the page. */
function reveal(list, item) {
  const top = item.offsetTop;
  if (top < list.scrollTop || top + item.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = top - 40;
}

function entryButton(entry) {
  const body = element("span");
  if (entry.who !== "note") body.append(element("span", { className: "name" }, entry.who === "caller" ? "Caller" : "Agent"));
  for (const tag of entry.tags ?? []) body.append(element("span", { className: `tag ${tag}` }, tag));
  body.append(element("span", { className: "text" }, ...texts(entry)));
  if (entry.facts) body.append(element("span", { className: "small" }, entry.facts.join(" · ")));
  const when = element("time", {}, shortClock(entry.start));
  const className = `entry ${entry.who === "note" ? "notice" : entry.who}`;
  return element("button", { className, type: "button", title: "Jump here and listen" }, when, body);
}

/** The words; those of the agent that the caller did not hear are struck through. */
function texts(entry) {
  const unheard = entry.words?.findIndex((word) => !word.heard) ?? -1;
  if (unheard < 0) return [entry.text || element("span", { className: "muted" }, "(no words on the tape)")];
  const joined = (words) => words.map((word) => word.text).join(" ");
  const lost = element("s", { title: "Not heard by the caller" }, joined(entry.words.slice(unheard)));
  return [joined(entry.words.slice(0, unheard)), unheard ? " " : "", element("span", { className: "hidden" }, "not heard: "), lost];
}

/** The table of events with its filter; `onPick` is told the time of a row. */
export function fillTable(data, onPick) {
  const sources = [...new Set(data.rows.map((row) => row[1]))];
  const boxes = sources.map((name) => {
    const box = element("input", { type: "checkbox", value: name, checked: true });
    byId("sources").append(element("label", {}, box, element("span", {}, name)));
    return box;
  });
  const searched = data.rows.map((row) => `${row[1]} ${row[2]} ${row[3] === null ? "" : `reply ${row[3]} `}${row[4]}`.toLowerCase());
  let limit = PAGE;

  function show() {
    const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const words = byId("filter").value.trim().toLowerCase();
    const found = data.rows.filter((row, index) => wanted.has(row[1]) && searched[index].includes(words));
    byId("rows").replaceChildren(...found.slice(0, limit).map(tableRow));
    byId("count").textContent = `${found.length} of ${data.rows.length}; audio and probabilities are drawn above`;
    byId("more").hidden = found.length <= limit;
  }

  function tableRow(row) {
    const [at, source, name, reply, details] = row;
    const jump = element("button", { type: "button", title: "Jump here" }, clock(at));
    jump.addEventListener("click", () => onPick(at));
    const cells = [jump, element("span", { className: "kind" }, source), name, reply === null ? "" : String(reply), details];
    return element("tr", { className: source }, ...cells.map((cell) => element("td", {}, cell)));
  }

  const restart = () => {
    limit = PAGE;
    show();
  };
  byId("filter").addEventListener("input", restart);
  byId("sources").addEventListener("change", restart);
  byId("more").addEventListener("click", () => {
    limit += 2 * PAGE;
    show();
  });
  show();
}

export function fillSettings(data) {
  byId("settings-hash").textContent = data.call.settings_hash;
  const loose = {};
  for (const [group, value] of Object.entries(data.call.settings)) {
    if (value === null || typeof value !== "object") loose[group] = value;
    else byId("settings").append(settingsGroup(group, value));
  }
  if (Object.keys(loose).length) byId("settings").append(settingsGroup("", loose));
}

function settingsGroup(name, values) {
  const list = element("dl");
  for (const [key, value] of flat(values)) {
    const text = typeof value === "string" ? value || "“”" : JSON.stringify(value);
    list.append(element("dt", {}, element("code", {}, key)), element("dd", {}, element("code", {}, text)));
  }
  return element("section", {}, element("h3", {}, name), list);
}

/** [dotted key, value] of nested settings. */
function flat(values, prefix = "") {
  return Object.entries(values).flatMap(([key, value]) => {
    const nested = value !== null && typeof value === "object" && !Array.isArray(value);
    return nested ? flat(value, `${prefix}${key}.`) : [[prefix + key, value]];
  });
}
