/** The call's audio: unpacked, measured for drawing, played, saved. */


const RATE = 8000; // Hz
const BUCKET = 64; // samples that share one peak

/** The two tracks as floats of one length, or null: the tape has none. Fails where the browser cannot unpack. */
export async function unpackSound(lengths, text) {
  if (!lengths) return null;
  const packed = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const ulaw = new Uint8Array(await new Response(stream).arrayBuffer());
  const length = Math.max(lengths.caller, lengths.agent);
  const caller = decodeUlaw(ulaw.subarray(0, lengths.caller), length);
  const agent = decodeUlaw(ulaw.subarray(lengths.caller), length);
  return { length, caller, agent, peaks: { caller: peaksOf(caller), agent: peaksOf(agent) } };
}

function decodeUlaw(bytes, length) {
  const table = Float32Array.from({ length: 256 }, (_, code) => {
    const bits = ~code & 0xff;
    const size = (((bits & 0x0f) << 3) + 0x84) << ((bits >> 4) & 7);
    return ((bits & 0x80 ? -1 : 1) * (size - 0x84)) / 32768;
  });
  const samples = new Float32Array(length);
  bytes.forEach((code, index) => {
    samples[index] = table[code];
  });
  return samples;
}

function peaksOf(samples) {
  const count = Math.ceil(samples.length / BUCKET);
  const low = new Float32Array(count);
  const high = new Float32Array(count);
  samples.forEach((sample, index) => {
    const bucket = Math.floor(index / BUCKET);
    if (sample < low[bucket]) low[bucket] = sample;
    if (sample > high[bucket]) high[bucket] = sample;
  });
  return { low, high };
}

/** Lowest and highest sample between two times. */
export function rangeOf(samples, peaks, fromMs, toMs) {
  const from = Math.max(0, Math.floor((fromMs * RATE) / 1000));
  const to = Math.min(samples.length, Math.max(from + 1, Math.ceil((toMs * RATE) / 1000)));
  const coarse = to - from >= 2 * BUCKET;
  const [lows, highs] = coarse ? [peaks.low, peaks.high] : [samples, samples];
  const [begin, end] = coarse ? [Math.floor(from / BUCKET), Math.ceil(to / BUCKET)] : [from, to];
  let low = 0;
  let high = 0;
  for (let index = begin; index < end; index++) {
    if (lows[index] < low) low = lows[index];
    if (highs[index] > high) high = highs[index];
  }
  return [low, high];
}

/** Plays from any place; `position` follows. Both: caller left, agent right; alone: in the middle. */
export function createPlayer(sound, onStop) {
  let context = null;
  let source = null;
  let sides = null;
  let mode = "both";
  let startedAt = 0; // the context's clock, s
  let from = 0; // ms

  function open() {
    context = new AudioContext();
    sides = ["caller", "agent"].map((name) => {
      const gain = context.createGain();
      const pan = context.createStereoPanner();
      gain.connect(pan).connect(context.destination);
      return { name, gain, pan };
    });
    mix();
  }

  function mix() {
    for (const side of sides ?? []) {
      side.gain.gain.value = mode === "both" || mode === side.name ? 1 : 0;
      side.pan.pan.value = mode !== "both" ? 0 : side.name === "caller" ? -1 : 1;
    }
  }

  function start(ms) {
    if (!context) open();
    stop();
    context.resume();
    const buffer = context.createBuffer(2, sound.length, RATE);
    buffer.copyToChannel(sound.caller, 0);
    buffer.copyToChannel(sound.agent, 1);
    const splitter = context.createChannelSplitter(2);
    source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(splitter);
    sides.forEach((side, channel) => splitter.connect(side.gain, channel));
    const mine = source;
    source.onended = () => {
      if (source !== mine) return;
      stop();
      onStop();
    };
    from = ms;
    startedAt = context.currentTime;
    source.start(0, ms / 1000);
  }

  function stop() {
    const old = source;
    source = null;
    old?.stop();
    old?.disconnect();
  }

  return {
    start,
    stop,
    playing: () => source !== null,
    position: () => from + Math.max(0, context.currentTime - startedAt - (context.outputLatency || 0)) * 1000,
    listen(to) {
      mode = to;
      mix();
    },
  };
}

/** The call as a stereo WAV of 16 bits, caller left. */
export function wavOf(sound) {
  const bytes = sound.length * 4;
  const view = new DataView(new ArrayBuffer(44 + bytes));
  const text = (at, chars) => [...chars].forEach((char, index) => view.setUint8(at + index, char.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 2, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, RATE * 4, true);
  view.setUint16(32, 4, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, bytes, true);
  for (let index = 0; index < sound.length; index++) {
    view.setInt16(44 + 4 * index, sound.caller[index] * 32767, true);
    view.setInt16(46 + 4 * index, sound.agent[index] * 32767, true);
  }
  return new Blob([view], { type: "audio/wav" });
}
