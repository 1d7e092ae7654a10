// The phone's socket, in a worker: the page's own thread may be busy without a word being lost. See docs/browser.md.

const VERSION = 1;
const FINAL = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1011, 1013]); // close codes after which nothing goes on
const MOST_UNSENT = 32_000; // bytes, 1 s of audio: what a network cannot take is dropped, and silence for the server
const STALLED_MS = 2000; // a connection that takes nothing for so long is given up
const RETRY_MS = 250;
const CALLER = 16; // bytes before the caller's audio
const AGENT = 8; // bytes before the agent's

let url, token, worklet, socket, call, key;
let resumeMs = 5000;
let lostAt = 0; // when the socket was lost; 0: it is there
let stalledAt = 0;
let over = false;
let answers = []; // the last ones to `clear`: sent again on the next connection, for they may be lost with this one

const tell = (type, detail = {}) => self.postMessage({ type, detail });

self.onmessage = ({ data }) => {
  switch (data.type) {
    case "open":
      ({ url, token } = data);
      worklet = data.port;
      worklet.onmessage = (event) => fromWorklet(event.data);
      connect();
      break;
    case "key":
      say({ type: "key", key: data.key });
      break;
    case "hang_up":
      hangUp();
      break;
  }
};

function connect() {
  const mine = (socket = new WebSocket(url));
  mine.binaryType = "arraybuffer";
  mine.onopen = () => {
    stalledAt = 0;
    say(call ? { type: "resume", call, key } : { type: "start", token, version: VERSION });
    answers.forEach(say);
  };
  mine.onmessage = ({ data }) => {
    if (mine !== socket) return;
    if (typeof data === "string") fromServer(JSON.parse(data));
    else play(data);
  };
  mine.onclose = (event) => {
    if (mine === socket) closed(event.code, event.reason);
  };
}

function say(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function fromServer(message) {
  const { type, ...detail } = message;
  if (type === "welcome") {
    welcome(detail);
  } else if (type === "clear") {
    worklet.postMessage({ clear: detail.epoch });
  } else {
    over ||= type === "ended";
    tell(type, detail);
  }
}

function welcome(detail) {
  const back = Boolean(call);
  ({ call, key, resume_ms: resumeMs } = detail);
  lostAt = 0;
  worklet.postMessage({ begin: true });
  tell(back ? "reconnected" : "welcome", { call });
}

function play(data) {
  const head = new DataView(data);
  const pcm = new Int16Array(data.slice(AGENT));
  const [position, epoch, reply] = [head.getUint32(0, true), head.getUint16(4, true), head.getUint16(6, true)];
  worklet.postMessage({ pcm, position, epoch, reply }, [pcm.buffer]);
}

function fromWorklet(data) {
  if (data.stopped) stopped({ type: "stopped", ...data.stopped });
  else if (call && !lostAt && socket.readyState === WebSocket.OPEN) send(data);
}

function stopped(answer) {
  answers = [...answers.slice(-7), answer];
  say(answer);
}

function send({ pcm, sequence, heard, received, epoch, dry }) {
  if (socket.bufferedAmount > MOST_UNSENT) {
    stalledAt ||= performance.now();
    if (performance.now() - stalledAt > STALLED_MS) abandon();
    return;
  }
  stalledAt = 0;
  const message = new Uint8Array(CALLER + pcm.byteLength);
  const head = new DataView(message.buffer);
  head.setUint32(0, sequence, true);
  head.setUint32(4, heard, true);
  head.setUint32(8, received, true);
  head.setUint16(12, epoch, true);
  head.setUint16(14, dry, true);
  message.set(new Uint8Array(pcm.buffer), CALLER);
  socket.send(message);
}

function abandon() {
  const stalled = socket;
  socket = null;
  stalled.close();
  closed(1006, "");
}

function closed(code, reason) {
  if (over || !call || FINAL.has(code)) return finish(code, reason);
  if (!lostAt) {
    const since = (lostAt = performance.now());
    setTimeout(() => lostAt === since && giveUp(), resumeMs); // also on a network that answers nothing at all
    tell("reconnecting");
    connect();
  } else {
    setTimeout(() => over || connect(), RETRY_MS);
  }
}

function giveUp() {
  const late = socket;
  socket = null;
  late?.close();
  finish(1006, "");
}

function finish(code, reason) {
  over = true;
  socket = null;
  tell("closed", { code, reason });
  self.close();
}

function hangUp() {
  over = true;
  say({ type: "hang_up" });
  if (socket?.readyState !== WebSocket.OPEN) finish(1000, "");
}
