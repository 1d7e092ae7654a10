/** One live call: its words as they come, its state, and what can be done with it. */

import { act } from "./act.js";
import { byId, element } from "./format.js";
import { startAudio } from "./listen.js";
import { loudness, setText, showLatency, since } from "./times.js";

const panel = byId("live-call");
const id = panel.dataset.id;
const MOST_WORDS = 500; // turns that are shown
const NAMES = { caller: "Caller", agent: "Agent", operator: "Operator" };
let call = null;
let ahead = 0; // ms of the server's clock before this one
let audio = null;

function showState() {
  setText(byId("live-clock"), since(call.started, Date.now() + ahead));
  const who = call.taken_over ? `${call.operator || "somebody"} has taken over` : call.held ? "on hold" : call.state;
  setText(byId("live-who"), call.private ? `${who}, private` : who);
  byId("live-who").className = `tag ${call.taken_over ? "operator" : call.state}`;
  showLatency(byId("live-latency"), call, Number(panel.dataset.target));
  setText(byId("live-counts"), `turns ${call.turns}, interruptions ${call.barge_ins}`);
  byId("level-caller").style.transform = `scaleX(${loudness(call.level.caller)})`;
  byId("level-agent").style.transform = `scaleX(${loudness(call.level.agent)})`;
  if (!panel.dataset.acts) return;
  byId("take-over").hidden = call.taken_over;
  byId("give-back").hidden = !call.taken_over;
  byId("recording").hidden = call.recording === null;
  setText(byId("recording"), call.private ? "Let recording go on" : "Pause recording");
}

function addWords(said) {
  const list = byId("live-words");
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 40;
  const tag = said.interrupted ? [element("span", { className: "tag interrupted" }, "interrupted"), " "] : [];
  list.append(element("li", { className: said.role in NAMES ? said.role : "" },
    element("time", {}, since(0, said.at_ms)),
    element("span", {}, element("b", {}, NAMES[said.role] ?? said.role), " ", ...tag, element("bdi", {}, said.text || "…"))));
  while (list.children.length > MOST_WORDS) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
  if (said.role === "caller") setText(byId("live-partial"), "");
}

function end() {
  audio?.stop();
  for (const control of panel.querySelectorAll("button, input, textarea")) control.disabled = true;
  const note = byId("live-note");
  note.replaceChildren("The call is over, or on another server. ", element("a", { href: location.pathname }, "Show its record"));
  note.hidden = false;
  byId("live-state").textContent = "over";
  byId("live-state").className = "tag";
}

function connect() {
  const source = new EventSource(`/api/live/${encodeURIComponent(id)}`);
  const on = (name, take) => source.addEventListener(name, (event) => take(JSON.parse(event.data)));
  source.addEventListener("open", () => {
    byId("live-words").replaceChildren();
    for (const part of document.querySelectorAll("#transcript-record, #line")) part.hidden = true; // behind what is shown
  });
  on("calls", (news) => {
    ahead = news.at - Date.now();
    call = news.calls[0] ?? call;
    if (call) showState();
  });
  on("said", addWords);
  on("words", (words) => setText(byId("live-partial"), words.text ?? ""));
  on("turn", (turn) => {
    if (call && turn.latency_ms !== undefined) {
      call.latency_ms = turn.latency_ms;
      call.audio_ms = turn.audio_ms;
      showState();
    }
  });
  on("act", (done) => tell(`${done.who ?? "Somebody"}: ${done.act ?? ""}`));
  source.addEventListener("gone", () => {
    source.close();
    end();
  });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return;
    source.close();
    end();
  });
}

function tell(text) {
  if (panel.dataset.acts) byId("act-note").textContent = text;
}

async function attempt(name, body, done) {
  try {
    await act(id, name, body);
    tell(done);
    return true;
  } catch (error) {
    tell(`Not done: ${error.message}`);
    return false;
  }
}

function startActs() {
  for (const form of panel.querySelectorAll("form[data-act]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const body = Object.fromEntries(new FormData(form));
      if (form.dataset.act === "say") body.interruptible = form.elements.interruptible.checked;
      if (await attempt(form.dataset.act, body, "Done.")) form.reset();
    });
  }
  byId("hang-up").addEventListener("click", (event) => {
    if (confirm(event.currentTarget.dataset.confirm)) attempt("hangup", {}, "Hung up.");
  });
  byId("recording").addEventListener("click", () => attempt("recording", { on: Boolean(call?.private) }, "Done."));
  byId("listen-in").addEventListener("click", toggleAudio);
  byId("take-over").addEventListener("click", async () => {
    if (!audio) await toggleAudio();
    if (audio && (await attempt("takeover", {}, "You speak with the caller now."))) speak();
  });
  byId("give-back").addEventListener("click", () => {
    audio?.mute();
    attempt("giveback", {}, "The agent goes on.");
  });
}

async function speak() {
  try {
    await audio.speak();
  } catch (error) {
    tell(`The microphone cannot be used: ${error.message}`);
  }
}

async function toggleAudio() {
  const button = byId("listen-in");
  if (audio) {
    audio.stop();
    return;
  }
  try {
    audio = await startAudio(id, () => {
      audio = null;
      button.setAttribute("aria-pressed", "false");
      setText(button, "Listen in");
    });
    button.setAttribute("aria-pressed", "true");
    setText(button, "Stop listening");
  } catch (error) {
    tell(`Cannot listen in: ${error.message}`);
  }
}

setInterval(() => call && showState(), 1000);
if (panel.dataset.acts) startActs();
connect();
