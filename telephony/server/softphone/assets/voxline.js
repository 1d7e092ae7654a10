/**
 * A phone that calls a voxline server from a web page.
 *
 *   const phone = new VoxlinePhone({ token: async () => (await fetch("/my-token")).text() });
 *   phone.addEventListener("said", ({ detail }) => console.log(detail.role, detail.text));
 *   button.onclick = () => phone.start();
 *
 * docs/browser.md says what the server of the page has to do, and what the page's own policy must allow.
 */

const RATE = 16_000;
const TAIL_MS = 400; // what has left the worklet is still on its way to the ear
const HERE = new URL(".", import.meta.url);
const FORWARDED = ["state", "said", "interrupted", "latency", "reconnecting", "reconnected"];

/** Why a call could not begin, or broke off. `code`: insecure, unsupported, token, unreachable, busy, refused, lost,
 * no-microphone, microphone-denied or microphone-busy. */
export class PhoneError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "PhoneError";
    this.code = code;
  }
}

/**
 * One call at a time. Events, each with a `detail`:
 *
 *   phase         {phase}: idle, connecting, on, reconnecting
 *   state         {state}: listening, thinking, speaking, paused, connecting (of the agent), person: an operator has taken over
 *   said          {role, text, interrupted}: a turn of the caller or the agent; text is null where the server logs no words
 *   interrupted   the caller has talked over the agent
 *   latency       {silence_ms, answer_ms}: from the caller's last word to the decision, and to the first audio
 *   levels        {caller, agent}: loudness, 0 to 1, ten times a second
 *   reconnecting, reconnected
 *   ended         {reason, by, error}: the call is over; error is a PhoneError if it broke off
 */
export class VoxlinePhone extends EventTarget {
  #options;
  #phase = "idle";
  #muted = false;
  #context = null;
  #node = null;
  #worker = null;
  #microphone = null;
  #ended = null;

  /**
   * @param {object} options
   * @param {() => Promise<string>} options.token gives a token for one call
   * @param {string} [options.server] the server's address, if it is not the one that this module came from
   * @param {(context: AudioContext) => Promise<AudioNode> | AudioNode} [options.microphone] another source than the
   *   microphone
   */
  constructor(options) {
    super();
    this.#options = options;
  }

  get phase() {
    return this.#phase;
  }

  get muted() {
    return this.#muted;
  }

  set muted(muted) {
    this.#muted = muted;
    this.#node?.port.postMessage({ muted });
  }

  /** Call. To be called by a click, or browsers play nothing. Throws a PhoneError if the call cannot begin. */
  async start() {
    if (this.#phase !== "idle") return;
    this.#ended = null;
    this.#turn("connecting");
    try {
      check();
      await this.#openAudio();
      const token = await this.#token();
      if (this.#ended) return; // hung up meanwhile
      await this.#openSocket(token);
      await this.#openMicrophone();
    } catch (error) {
      const known = error instanceof PhoneError ? error : new PhoneError("unsupported", String(error));
      if (this.#ended) throw known; // the end has been told already
      this.#worker?.postMessage({ type: "hang_up" });
      this.#end({ reason: known.message, by: "line", error: known });
      throw known;
    }
  }

  /** Press a key: 0-9, *, #, A-D. */
  key(key) {
    this.#worker?.postMessage({ type: "key", key });
  }

  /** End the call. */
  hangUp() {
    if (this.#phase === "idle") return;
    this.#worker?.postMessage({ type: "hang_up" });
    this.#end({ reason: "you hung up", by: "caller", error: null });
  }

  async #openAudio() {
    const context = (this.#context = new AudioContext({ sampleRate: RATE, latencyHint: "interactive" }));
    context.resume(); // not awaited: without a click it would wait for one
    await context.audioWorklet.addModule(new URL("worklet.js", HERE));
    const options = { outputChannelCount: [1], channelCount: 1, channelCountMode: "explicit" };
    const node = (this.#node = new AudioWorkletNode(context, "voxline-phone", options));
    node.port.onmessage = ({ data }) => this.#tell("levels", data.levels);
    node.port.postMessage({ muted: this.#muted });
    node.connect(context.destination);
  }

  async #token() {
    try {
      return await this.#options.token();
    } catch (error) {
      throw error instanceof PhoneError ? error : new PhoneError("token", `no token: ${error.message}`);
    }
  }

  #openSocket(token) {
    const url = new URL("/browser/media", this.#options.server ?? HERE);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const { port1, port2 } = new MessageChannel();
    const worker = (this.#worker = newWorker(new URL("worker.js", HERE)));
    this.#node.port.postMessage({ port: port1 }, [port1]);
    return new Promise((resolve, reject) => {
      worker.onerror = () => reject(new PhoneError("unsupported", "the phone's worker could not be loaded"));
      worker.onmessage = ({ data }) => {
        if (worker !== this.#worker) return;
        if (data.type === "closed") reject(this.#closed(data.detail) ?? new PhoneError("lost", "the call is over"));
        else this.#take(data, resolve);
      };
      worker.postMessage({ type: "open", url: url.href, token, port: port2 }, [port2]);
    });
  }

  async #openMicrophone() {
    const context = this.#context;
    const source = this.#options.microphone ? await this.#options.microphone(context) : await this.#ask(context);
    if (context !== this.#context) return; // hung up meanwhile
    source.connect(this.#node);
  }

  async #ask(context) {
    const audio = { echoCancellation: true, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      throw microphoneError(error);
    }
    if (context !== this.#context) stream.getTracks().forEach((track) => track.stop());
    else this.#microphone = stream;
    return context.createMediaStreamSource(stream);
  }

  #take({ type, detail }, welcomed) {
    if (type === "welcome") {
      this.#turn("on");
      welcomed();
    } else if (type === "ended") {
      this.#end({ ...detail, error: null });
    } else if (FORWARDED.includes(type)) {
      if (type.startsWith("reconnect")) this.#turn(type === "reconnecting" ? type : "on");
      this.#tell(type, detail);
    }
  }

  #closed({ code, reason }) {
    if (this.#ended) return null;
    let error = new PhoneError("refused", reason || `the server closed the call (${code})`);
    if (code === 1013) error = new PhoneError("busy", reason);
    else if (code === 1006) {
      error =
        this.#phase === "connecting"
          ? new PhoneError("unreachable", "the server cannot be reached")
          : new PhoneError("lost", "the connection was lost");
    }
    this.#end({ reason: error.message, by: "line", error });
    return error;
  }

  #end(detail) {
    if (this.#ended) return;
    this.#ended = detail;
    const [context, microphone] = [this.#context, this.#microphone];
    microphone?.getTracks().forEach((track) => track.stop());
    setTimeout(() => context?.close(), TAIL_MS);
    this.#context = this.#node = this.#worker = this.#microphone = null;
    this.#turn("idle");
    this.#tell("ended", detail);
  }

  #turn(phase) {
    this.#phase = phase;
    this.#tell("phase", { phase });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function check() {
  if (!window.isSecureContext)
    throw new PhoneError("insecure", "browsers open the microphone only for pages that came over https, or from this machine");
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode)
    throw new PhoneError("unsupported", "this browser has no AudioWorklet or no microphone for pages");
}

function microphoneError(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "SecurityError":
      return new PhoneError("microphone-denied", "the page may not use the microphone: allow it in the browser's settings");
    case "NotFoundError":
      return new PhoneError("no-microphone", "there is no microphone");
    case "NotReadableError":
      return new PhoneError("microphone-busy", "the microphone is in use by another program");
    default:
      return new PhoneError("no-microphone", `the microphone cannot be opened: ${error.message}`);
  }
}

// A worker must come from the page's own origin; from another one it is imported.
function newWorker(url) {
  if (url.origin === location.origin) return new Worker(url, { type: "module" });
  const source = new Blob([`import ${JSON.stringify(url.href)};`], { type: "text/javascript" });
  const here = URL.createObjectURL(source);
  const worker = new Worker(here, { type: "module" });
  worker.addEventListener("message", () => URL.revokeObjectURL(here), { once: true });
  return worker;
}
