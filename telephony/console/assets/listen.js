/** Listens in on a call and, after taking over, speaks with the caller: PCM of 16 bits both ways over a WebSocket. */

const FRAME_MS = 20;

/** Open the audio of a call; `onStop` is called when it ends, for whatever reason. Fails where it cannot be had. */
export async function startAudio(id, onStop) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/api/calls/${encodeURIComponent(id)}/audio`);
  socket.binaryType = "arraybuffer";
  const { rate } = await firstMessage(socket);
  const context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
  await context.audioWorklet.addModule("/console/assets/audio_worklet.js");
  const player = new AudioWorkletNode(context, "player", { numberOfInputs: 0, outputChannelCount: [2] });
  player.connect(context.destination);
  await context.resume();
  socket.addEventListener("message", (event) => {
    const view = new DataView(event.data);
    player.port.postMessage({ track: view.getUint8(0), at: view.getUint32(1), pcm: event.data.slice(5) });
  });
  let microphone = null;
  let stopped = false;

  function mute() {
    microphone?.getTracks().forEach((track) => track.stop());
    microphone = null;
  }

  function stop() {
    if (stopped) return;
    stopped = true;
    mute();
    socket.close();
    context.close();
    onStop();
  }

  async function speak() {
    if (microphone) return;
    const audio = { echoCancellation: true, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    microphone = await navigator.mediaDevices.getUserMedia({ audio });
    const source = context.createMediaStreamSource(microphone);
    const options = { numberOfOutputs: 0, channelCount: 1, processorOptions: { samples: (rate * FRAME_MS) / 1000 } };
    const recorder = new AudioWorkletNode(context, "recorder", options);
    recorder.port.onmessage = (event) => {
      if (socket.readyState === WebSocket.OPEN && microphone) socket.send(event.data);
    };
    source.connect(recorder);
  }

  socket.addEventListener("close", stop);
  return { stop, speak, mute };
}

function firstMessage(socket) {
  return new Promise((resolve, reject) => {
    socket.addEventListener("message", (event) => resolve(JSON.parse(event.data)), { once: true });
    socket.addEventListener("close", () => reject(new Error("the call is over, or does not allow it")), { once: true });
  });
}
