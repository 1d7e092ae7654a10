"""A telephone of pjsua2, in a process and an environment of its own: it reads commands as lines on standard input, and
writes events as lines. Its arguments are a JSON object; see pjsua.py."""

import json
import select
import sys
from pathlib import Path
from typing import Any

import pjsua2 as pj

OPTIONS = json.loads(sys.argv[1])
HOST, FOLDER, SECURE = OPTIONS["host"], Path(OPTIONS["folder"]), bool(OPTIONS["certificate"])
RATE = 8000
INFO = OPTIONS["keys"] == "info"
AUDIBLE = {pj.PJSUA_CALL_MEDIA_ACTIVE: "active", pj.PJSUA_CALL_MEDIA_LOCAL_HOLD: "held"}


def tell(*words: Any) -> None:
    """Write an event as a line."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class Call(pj.Call):
    """One call: once there is audio, it sends the microphone's file and records the received audio to a file."""

    def onCallState(self, prm: Any) -> None:  # noqa: N802
        info = self.getInfo()
        tell("state", info.stateText, info.lastStatusCode)
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            phone.calls.remove(self)
            phone.recorders.pop(self, None)

    def onCallMediaState(self, prm: Any) -> None:  # noqa: N802
        info = self.getInfo()  # what it holds is gone with it
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status in AUDIBLE:
                phone.connect(self, self.getAudioMedia(media.index))
                tell("media", AUDIBLE[media.status])

    def onDtmfDigit(self, prm: Any) -> None:  # noqa: N802
        tell("key", prm.digit)

    def onCallTransferRequest(self, prm: Any) -> None:  # noqa: N802
        tell("refer", prm.dstUri)
        prm.newCall = phone.new()

    def onCallTransferStatus(self, prm: Any) -> None:  # noqa: N802
        tell("transfer", prm.statusCode)

    def onCallReplaceRequest(self, prm: Any) -> None:  # noqa: N802
        tell("replaces")
        prm.newCall = phone.new()


class Account(pj.Account):
    def onIncomingCall(self, prm: Any) -> None:  # noqa: N802
        call = Call(self, prm.callId)
        phone.calls.append(call)
        answer = pj.CallOpParam()
        answer.statusCode = 200
        call.answer(answer)


class Phone:
    """The endpoint with its calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.recorders: dict[Call, pj.AudioMediaRecorder] = {}
        self._endpoint = endpoint = pj.Endpoint()
        endpoint.libCreate()
        config = pj.EpConfig()
        config.logConfig.consoleLevel = 0
        config.logConfig.filename = str(FOLDER / "log.txt")
        config.uaConfig.threadCnt = 0  # all is done in `run`
        config.medConfig.clockRate = config.medConfig.sndClockRate = RATE
        endpoint.libInit(config)
        self._listen()
        endpoint.libStart()
        endpoint.codecSetPriority("PCMU/8000", 255)  # the first; it offers all its codecs
        endpoint.audDevManager().setNullDev()
        self._player = pj.AudioMediaPlayer()
        self._started = False
        self.account = Account()
        self.account.create(self._account())

    def run(self) -> None:
        """Run the commands until there are no more lines."""
        tell("ready", self._endpoint.libVersion().full)
        while True:
            self._endpoint.libHandleEvents(10)
            if select.select([sys.stdin], [], [], 0)[0]:
                line = sys.stdin.readline()
                if not line or line.strip() == "quit":
                    break
                self._do(*line.split())
        self.recorders.clear()
        self.calls.clear()
        self._endpoint.libDestroy()

    def new(self) -> Call:
        """Prepare a new call."""
        self.calls.append(Call(self.account))
        return self.calls[-1]

    def connect(self, call: Call, audio: Any) -> None:
        """Its audio has started, or resumed."""
        if not self._started:
            self._started = True
            self._player.createPlayer(str(FOLDER / "microphone.wav"), pj.PJMEDIA_FILE_NO_LOOP)
        if call not in self.recorders:
            recorder = self.recorders[call] = pj.AudioMediaRecorder()
            recorder.createRecorder(str(FOLDER / f"speaker-{len(list(FOLDER.glob('speaker-*')))}.wav"))
        self._player.startTransmit(audio)
        audio.startTransmit(self.recorders[call])

    def _do(self, command: str, argument: str = "") -> None:
        option = pj.CallOpParam(True)
        if command == "dial":
            self.new().makeCall(argument, option)
            return
        call = self.calls[-1]
        if command == "hold":
            call.setHold(option)
        elif command == "retrieve":
            option.opt.flag = pj.PJSUA_CALL_UNHOLD
            call.reinvite(option)
        elif command == "press":
            keys = pj.CallSendDtmfParam()
            keys.digits = argument
            keys.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if INFO else pj.PJSUA_DTMF_METHOD_RFC2833
            call.sendDtmf(keys)
        elif command == "hangup":
            call.hangup(pj.CallOpParam())

    def _listen(self) -> None:
        transport = pj.TransportConfig()
        transport.port, transport.boundAddress, transport.publicAddress = OPTIONS["port"], HOST, HOST
        if SECURE:
            transport.tlsConfig.CaListFile = OPTIONS["certificate"]
            transport.tlsConfig.certFile = transport.tlsConfig.privKeyFile = OPTIONS["certificate"]
            transport.tlsConfig.verifyServer = True
        self._endpoint.transportCreate(pj.PJSIP_TRANSPORT_TLS if SECURE else pj.PJSIP_TRANSPORT_UDP, transport)

    def _account(self) -> Any:
        config = pj.AccountConfig()
        config.idUri = f"sip:pat@{HOST}:{OPTIONS['port']}" + (";transport=tls" if SECURE else "")
        media = config.mediaConfig
        media.transportConfig.port, media.transportConfig.boundAddress = OPTIONS["rtp"], HOST
        media.srtpUse = pj.PJMEDIA_SRTP_MANDATORY if SECURE else pj.PJMEDIA_SRTP_DISABLED
        media.srtpSecureSignaling = int(SECURE)
        return config


phone = Phone()
phone.run()
