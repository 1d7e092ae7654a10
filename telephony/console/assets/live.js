/** The list of live calls. A call keeps its row, whose cells change in place: nothing is ever built anew. */

import { element } from "./format.js";
import { loudness, setText, showLatency, since } from "./times.js";

const body = document.getElementById("live");
const target = Number(body.parentElement.dataset.target); // ms
const rows = new Map(); // by the call's id
let ahead = 0; // ms of the server's clock before this one

function createRow(id) {
  const link = element("a", { href: `/console/calls/${encodeURIComponent(id)}` });
  const bars = ["caller", "agent"].map((who) => element("i", { className: who }));
  const meters = bars.map((bar) => element("span", { className: `meter ${bar.className}` }, bar));
  const [state, held] = [element("span"), element("span", { className: "muted" })];
  const boxed = () => element("bdi", { className: "boxed" });
  const cells = { caller: element("bdi"), agent: element("bdi"), words: boxed(), turns: boxed(), latency: boxed() };
  const [turns, answer] = [element("td", {}, cells.turns), element("td", {}, cells.latency)];
  turns.dataset.name = "Turns";
  answer.dataset.name = "Last answer";
  const line = element("span", { className: "muted" });
  const tr = element("tr", {},
    element("td", {}, link), element("td", {}, cells.caller, line), element("td", {}, cells.agent), element("td", {}, state, held),
    element("td", {}, ...meters), element("td", {}, cells.words), turns, answer);
  return { tr, link, bars, state, held, line, ...cells, call: null };
}

function update(row, call) {
  row.call = call;
  setText(row.caller, call.caller || "unknown");
  setText(row.line, `${call.line} ${call.direction === "outbound" ? "out" : "in"}`);
  setText(row.agent, call.agent);
  const state = call.taken_over ? `taken over${call.operator ? ` by ${call.operator}` : ""}` : call.state;
  setText(row.state, state);
  const kind = `tag ${call.taken_over ? "operator" : call.state}`;
  if (row.state.className !== kind) row.state.className = kind;
  setText(row.held, call.held ? "on hold" : call.private ? "private" : "");
  row.bars[0].style.transform = `scaleX(${loudness(call.level.caller)})`;
  row.bars[1].style.transform = `scaleX(${loudness(call.level.agent)})`;
  const last = call.last;
  setText(row.words, last && last.text ? `${last.role === "caller" ? "Caller" : last.role === "agent" ? "Agent" : "Operator"}: ${last.text}` : "");
  setText(row.turns, String(call.turns));
  showLatency(row.latency, call, target);
}

function take(news) {
  ahead = news.at - Date.now();
  for (const id of news.gone ?? []) {
    rows.get(id)?.tr.remove();
    rows.delete(id);
  }
  const fresh = document.createDocumentFragment();
  for (const call of news.calls) {
    if (!rows.has(call.id)) {
      rows.set(call.id, createRow(call.id));
      fresh.append(rows.get(call.id).tr);
    }
    update(rows.get(call.id), call);
  }
  body.append(fresh);
  tick();
}

function tick() {
  const now = Date.now() + ahead;
  for (const row of rows.values()) setText(row.link, since(row.call.started, now));
  setText(document.getElementById("live-count"), rows.size === 1 ? "1 call" : `${rows.size} calls`);
  document.getElementById("live-empty").hidden = rows.size > 0;
}

function tellState(text, kind) {
  const state = document.getElementById("live-state");
  state.textContent = text;
  state.className = `tag ${kind}`;
}

function connect() {
  const source = new EventSource("/api/live");
  let first = true;
  source.addEventListener("open", () => {
    first = true;
    tellState("live", "ok");
  });
  source.addEventListener("calls", (event) => {
    const news = JSON.parse(event.data);
    if (first) { // a snapshot: what is not in it is over
      const there = new Set(news.calls.map((call) => call.id));
      news.gone = [...rows.keys()].filter((id) => !there.has(id));
      first = false;
    }
    take(news);
  });
  source.addEventListener("error", () => {
    tellState(source.readyState === EventSource.CLOSED ? "not connected" : "connecting…", "warning");
    if (source.readyState !== EventSource.CLOSED) return;
    source.close();
    setTimeout(connect, 3000);
  });
}

setInterval(tick, 1000);
connect();
