// The phone's ear and mouth, on the audio thread: counts every sample of both ways. See docs/browser.md.

const FRAME = 320; // samples at 16 kHz: 20 ms
const FADE = 320;
const DRY = 8000; // a longer pause within a reply is meant
const LEVELS_EVERY = 12; // blocks of 128 samples

class Phone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.worker = null;
    this.on = false; // from the welcome on, the caller's samples count
    this.muted = false;
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.sequence = 0;
    this.queue = []; // the agent's audio not yet heard
    this.offset = 0; // within the first piece
    this.queued = 0;
    this.heard = 0;
    this.epoch = 0;
    this.fading = null;
    this.fadeAt = 0;
    this.reply = -1;
    this.drySince = -1;
    this.dry = 0;
    this.loudness = [0, 0];
    this.blocks = 0;
    this.port.onmessage = ({ data }) => this.control(data);
  }

  control(data) {
    if (data.port) {
      this.worker = data.port;
      this.worker.onmessage = (event) => this.take(event.data);
    } else if ("muted" in data) {
      this.muted = data.muted;
    }
  }

  take(data) {
    if (data.pcm) this.play(data);
    else if (data.begin) this.on = true;
    else if ("clear" in data) this.clear(data.clear);
  }

  play({ pcm, position, epoch, reply }) {
    if (epoch !== this.epoch || position !== this.heard + this.queued) return;
    if (this.drySince >= 0 && reply === this.reply && currentFrame - this.drySince <= DRY) this.dry += 1;
    this.drySince = -1;
    this.reply = reply;
    this.queue.push(pcm);
    this.queued += pcm.length;
  }

  // Silent from here on, but for a short fade. The server sends the same samples again, faded in, if the reply goes on.
  clear(epoch) {
    const fade = new Int16Array(Math.min(FADE, this.queued));
    this.pull(fade.length, (i, sample) => (fade[i] = Math.trunc(sample * (1 - i / fade.length))));
    this.queue = [];
    this.offset = this.queued = 0;
    this.drySince = -1;
    this.epoch = epoch;
    this.fading = fade.length ? fade : null;
    this.fadeAt = 0;
    this.worker.postMessage({ stopped: { epoch, heard: this.heard, fade: fade.length } });
  }

  pull(count, put) {
    for (let i = 0; i < count; i++) {
      const piece = this.queue[0];
      put(i, piece[this.offset++]);
      this.queued -= 1;
      if (this.offset === piece.length) {
        this.queue.shift();
        this.offset = 0;
      }
    }
  }

  process(inputs, outputs) {
    const out = outputs[0][0];
    this.speak(out);
    this.listen(inputs[0][0], out.length);
    this.tellLevels(inputs[0][0], out);
    return true;
  }

  speak(out) {
    let at = 0;
    while (this.fading && at < out.length) {
      out[at++] = this.fading[this.fadeAt++] / 32768;
      if (this.fadeAt === this.fading.length) this.fading = null;
    }
    const begin = at;
    const count = Math.min(out.length - begin, this.queued);
    this.pull(count, (i, sample) => (out[begin + i] = sample / 32768));
    this.heard += count;
    if (count && !this.queued) this.drySince = currentFrame + begin + count;
  }

  listen(input, length) {
    if (!this.on || !this.worker) return;
    for (let i = 0; i < length; i++) {
      const sample = input && !this.muted ? Math.max(-1, Math.min(1, input[i])) : 0;
      this.frame[this.filled++] = Math.round(sample * 32767);
      if (this.filled === FRAME) this.send();
    }
  }

  send() {
    const pcm = this.frame;
    const { sequence, heard, epoch, dry } = this;
    this.worker.postMessage({ pcm, sequence, heard, received: heard + this.queued, epoch, dry: dry & 0xffff }, [pcm.buffer]);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.sequence += FRAME;
  }

  tellLevels(input, output) {
    for (const [side, samples] of [input, output].entries()) {
      for (let i = 0; samples && i < samples.length; i++) this.loudness[side] += samples[i] * samples[i];
    }
    if (++this.blocks < LEVELS_EVERY) return;
    const [caller, agent] = this.loudness.map((sum) => Math.sqrt(sum / (LEVELS_EVERY * output.length)));
    this.port.postMessage({ levels: { caller: this.muted ? 0 : caller, agent } });
    this.loudness = [0, 0];
    this.blocks = 0;
  }
}

registerProcessor("voxline-phone", Phone);
