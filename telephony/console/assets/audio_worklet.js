/** The audio thread's side of listen.js: plays both tracks, caller left and agent right, and takes the microphone. */

const AHEAD_MS = 80; // played that much later than it comes, since it comes unevenly
const LATEST_MS = 240; // what waits longer is left out

/** One track: a ring of samples, placed by their number in the track. */
class Track {
  constructor(rate) {
    this.samples = new Float32Array(rate); // 1 s
    this.next = null; // the number of the sample to be played next; null: begin anew
    this.end = 0;
    this.ahead = (rate * AHEAD_MS) / 1000;
    this.latest = (rate * LATEST_MS) / 1000;
  }

  put(at, pcm) {
    const size = this.samples.length;
    if (this.next === null || at < this.next - size || at + pcm.length > this.next + size) {
      this.samples.fill(0);
      this.next = at - this.ahead;
    }
    for (let index = 0; index < pcm.length; index++) {
      if (at + index >= this.next) this.samples[(at + index) % size] = pcm[index] / 32768;
    }
    this.end = at + pcm.length;
    if (this.end - this.next > this.latest) this.skip(this.end - this.ahead);
  }

  skip(to) {
    const size = this.samples.length;
    for (; this.next < to; this.next++) this.samples[((this.next % size) + size) % size] = 0;
  }

  take(output) {
    if (this.next === null) return;
    const size = this.samples.length;
    for (let index = 0; index < output.length; index++, this.next++) {
      const place = ((this.next % size) + size) % size;
      output[index] = this.samples[place];
      this.samples[place] = 0;
    }
    if (this.next > this.end + size / 4) this.next = null; // nothing has come for long
  }
}

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.tracks = [new Track(sampleRate), new Track(sampleRate)];
    this.port.onmessage = ({ data }) => this.tracks[data.track]?.put(data.at, new Int16Array(data.pcm));
  }

  process(_, [output]) {
    this.tracks.forEach((track, side) => track.take(output[side]));
    return true;
  }
}

class Recorder extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.frame = new Int16Array(processorOptions.samples);
    this.filled = 0;
  }

  process([input]) {
    for (const sample of input[0] ?? []) {
      this.frame[this.filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
      if (this.filled === this.frame.length) {
        this.port.postMessage(this.frame.buffer.slice(0));
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("player", Player);
registerProcessor("recorder", Recorder);
