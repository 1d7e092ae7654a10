// voxline's own phone page. Everything that was said is put in as text, never as markup.

import { PhoneError, VoxlinePhone } from "./voxline.js";

const KEYS = "123456789*0#";
const STATES = {
  listening: "Listening",
  thinking: "Thinking",
  speaking: "Speaking",
  paused: "Paused: you are talking",
  connecting: "Connecting you",
  person: "A person is with you",
  ended: "Call over",
};
const ADVICE = {
  insecure: "Open this page over https, or on the machine that voxline runs on, as http://127.0.0.1.",
  busy: "All lines are busy. Try again in a few minutes.",
  unreachable: "The server cannot be reached. Is voxline running?",
  lost: "The connection was lost and did not come back.",
  "no-microphone": "There is no microphone. Connect one and start the call again.",
  "microphone-denied": "This page may not use the microphone. Allow it in the browser, beside the address, and start the call again.",
  "microphone-busy": "The microphone is in use by another program. Close that and start the call again.",
};
const FLOOR_DB = -60;

const find = (id) => document.getElementById(id);
const [state, error, call, mute, keys, talk] = ["state", "error", "call", "mute", "keys", "talk"].map(find);
const phone = new VoxlinePhone({ token });
let latency = null; // of the answer that is being heard

async function token() {
  const agent = new URLSearchParams(location.search).get("agent") ?? "";
  const csrf = document.querySelector('meta[name="csrf"]')?.content; // of whoever was signed in when the page was made
  const headers = csrf ? { "X-CSRF-Token": csrf } : {};
  const answer = await fetch("/browser/token", { method: "POST", headers, body: JSON.stringify({ agent }) });
  find("sign-in").hidden = answer.status !== 401;
  if (answer.status === 401) throw new PhoneError("token", "Calls from here need a sign-in as an operator.");
  const issued = await answer.json();
  if (answer.status === 403) throw new PhoneError("token", `${issued.error}. If you have just signed in, reload this page.`);
  if (!answer.ok) throw new PhoneError("token", issued.error);
  return issued.token;
}

function showState(text, kind) {
  state.textContent = text;
  state.dataset.state = kind;
}

function showError(text) {
  error.textContent = text ?? "";
  error.hidden = !text;
}

function row(kind) {
  const item = document.createElement("li");
  item.className = kind;
  talk.append(item);
  find("nothing").hidden = true;
  return item;
}

function part(item, name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  item.append(span);
  talk.scrollTop = talk.scrollHeight;
}

function said({ role, text, interrupted }) {
  const item = row(role === "agent" ? "agent" : "caller");
  part(item, "who", role === "agent" ? "Agent" : "You");
  part(item, text === null ? "hidden-words" : "words", text ?? "(the server keeps no words: log.words)");
  if (interrupted) part(item, "note", "interrupted");
  if (role === "agent" && latency) {
    const { silence_ms, answer_ms } = latency;
    part(item, "note", `answered after ${silence_ms + answer_ms} ms: ${silence_ms} of silence, ${answer_ms} to answer`);
    latency = null;
  }
}

function showPhase(phase) {
  const idle = phase === "idle";
  call.textContent = idle ? "Start call" : "Hang up";
  call.className = idle ? "call" : "hang-up";
  mute.disabled = idle;
  for (const key of keys.children) key.disabled = phase !== "on";
  if (phase === "connecting") showState("Calling", phase);
  if (phase === "on") showState("Connected", phase);
  if (phase === "reconnecting") showState("Connection lost – reconnecting", phase);
}

function showLevel(id, level) {
  const db = 20 * Math.log10(Math.max(level, 1e-6));
  find(id).style.transform = `scaleX(${Math.min(1, Math.max(0, 1 - db / FLOOR_DB))})`;
}

function ended({ reason, error: failure }) {
  showState(failure ? "Call failed" : "Call over", "idle");
  if (failure) showError(ADVICE[failure.code] ?? failure.message);
  else part(row("line"), "note", `Call over: ${reason}`);
  for (const id of ["caller-level", "agent-level"]) showLevel(id, 0);
}

function press(key) {
  if (phone.phase !== "on") return;
  phone.key(key);
  const button = [...keys.children].find((each) => each.textContent === key);
  button?.animate?.([{ transform: "scale(0.94)" }, { transform: "none" }], 150);
}

function setMuted(muted) {
  phone.muted = muted;
  mute.setAttribute("aria-pressed", String(muted));
  mute.textContent = muted ? "Unmute" : "Mute";
}

async function start() {
  showError(null);
  talk.replaceChildren();
  find("nothing").hidden = false;
  latency = null;
  setMuted(false);
  try {
    await phone.start();
  } catch {
    // `ended` has shown it
  }
}

call.addEventListener("click", () => (phone.phase === "idle" ? start() : phone.hangUp()));
mute.addEventListener("click", () => setMuted(!phone.muted));
for (const key of KEYS) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = key;
  button.disabled = true;
  button.addEventListener("click", () => press(key));
  keys.append(button);
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (KEYS.includes(event.key)) press(event.key);
  else if (event.key.toLowerCase() === "m" && !mute.disabled) setMuted(!phone.muted);
});

phone.addEventListener("phase", ({ detail }) => showPhase(detail.phase));
phone.addEventListener("state", ({ detail }) => {
  if (phone.phase === "on") showState(STATES[detail.state] ?? detail.state, detail.state);
});
phone.addEventListener("said", ({ detail }) => said(detail));
phone.addEventListener("latency", ({ detail }) => (latency = detail));
phone.addEventListener("levels", ({ detail }) => {
  if (phone.phase === "idle") return;
  showLevel("caller-level", detail.caller);
  showLevel("agent-level", detail.agent);
});
phone.addEventListener("ended", ({ detail }) => ended(detail));
if (!window.isSecureContext) showError(ADVICE.insecure);
