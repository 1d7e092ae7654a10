"""Session descriptions as the field's phones, trunks and proxies send them."""

ASTERISK = b"""v=0\r
o=- 1893421 1893421 IN IP4 192.0.2.10\r
s=Asterisk\r
c=IN IP4 192.0.2.10\r
t=0 0\r
m=audio 14582 RTP/AVP 0 8 101\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-16\r
a=ptime:20\r
a=maxptime:140\r
a=sendrecv\r
"""

FREEPBX_SRTP = b"""v=0\r
o=- 55120 2 IN IP4 192.0.2.11\r
s=Asterisk\r
c=IN IP4 192.0.2.11\r
t=0 0\r
m=audio 18420 RTP/SAVP 8 0 9 101\r
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:9 G722/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-16\r
a=ptime:20\r
a=sendrecv\r
"""

TWILIO = b"""v=0\r
o=root 1185571642 1185571642 IN IP4 203.0.113.20\r
s=Twilio Media Gateway\r
c=IN IP4 203.0.113.20\r
t=0 0\r
m=audio 15804 RTP/AVP 0 101\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-16\r
a=ptime:20\r
a=maxptime:150\r
a=sendrecv\r
"""

TWILIO_SECURE = b"""v=0\r
o=root 96217 96217 IN IP4 203.0.113.20\r
s=Twilio Media Gateway\r
c=IN IP4 203.0.113.20\r
t=0 0\r
m=audio 17214 RTP/SAVP 0 8 101\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-16\r
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^31\r
a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj\r
a=ptime:20\r
a=sendrecv\r
"""

TELNYX = b"""v=0\r
o=FreeSWITCH 1731925121 1731925122 IN IP4 203.0.113.44\r
s=FreeSWITCH\r
c=IN IP4 203.0.113.44\r
t=0 0\r
m=audio 28064 RTP/AVP 9 0 8 103 101 13\r
a=rtpmap:9 G722/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:103 telephone-event/48000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-15\r
a=rtpmap:13 CN/8000\r
a=rtcp:28065 IN IP4 203.0.113.44\r
a=ptime:20\r
"""

BARESIP = b"""v=0\r
o=- 2519287440 1804289383 IN IP4 127.0.0.1\r
s=-\r
c=IN IP4 127.0.0.1\r
t=0 0\r
a=tool:baresip 1.0.0\r
m=audio 11112 RTP/AVP 8 0 101\r
b=AS:125\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-15\r
a=rtcp:11113\r
a=rtcp-mux\r
a=sendrecv\r
a=label:1\r
a=ssrc:3317264216 cname:sip:ann@127.0.0.1\r
a=ptime:20\r
"""

RTPENGINE = b"""v=0\r
o=- 3746134110 3746134110 IN IP4 198.51.100.30\r
s=kamailio\r
c=IN IP4 198.51.100.30\r
t=0 0\r
m=audio 30022 RTP/SAVPF 111 0 8 110 126\r
a=mid:0\r
a=rtpmap:111 opus/48000/2\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:110 telephone-event/48000\r
a=rtpmap:126 telephone-event/8000\r
a=sendrecv\r
a=rtcp:30022\r
a=rtcp-mux\r
a=crypto:1 AEAD_AES_256_GCM inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1ZjNzB4d1BINUAvLEw6U0E=\r
a=crypto:2 AES_256_CM_HMAC_SHA1_80 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1ZjNzB4d1BINUAvLEw6Uw==\r
a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR\r
a=setup:actpass\r
a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2\r
a=ptime:20\r
a=ice-ufrag:bJIKm5hR\r
a=ice-pwd:LDK3TP2gFPwyBg1kT0mPyXMJwD\r
a=candidate:Xz1 1 UDP 2130706431 198.51.100.30 30022 typ host\r
"""

LINPHONE = b"""v=0\r
o=ann 2301 3421 IN IP4 192.168.1.20\r
s=Talk\r
c=IN IP4 192.168.1.20\r
t=0 0\r
a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics\r
m=audio 7078 RTP/AVP 96 97 98 0 8 18 101 99 100\r
a=rtpmap:96 opus/48000/2\r
a=fmtp:96 useinbandfec=1\r
a=rtpmap:97 speex/16000\r
a=fmtp:97 vbr=on\r
a=rtpmap:98 speex/8000\r
a=fmtp:98 vbr=on\r
a=fmtp:18 annexb=yes\r
a=rtpmap:101 telephone-event/48000\r
a=rtpmap:99 telephone-event/16000\r
a=rtpmap:100 telephone-event/8000\r
m=video 9078 RTP/AVP 96 97\r
a=rtpmap:96 VP8/90000\r
a=rtpmap:97 H264/90000\r
a=fmtp:97 profile-level-id=42801F\r
"""

IPV6 = b"""v=0\r
o=- 7 7 IN IP6 2001:db8::10\r
s=-\r
c=IN IP6 2001:db8::10\r
t=0 0\r
m=audio 4000 RTP/AVP 0\r
"""

WEBRTC = RTPENGINE.replace(b"RTP/SAVPF", b"UDP/TLS/RTP/SAVPF")

ALL = {
    "asterisk": ASTERISK,
    "freepbx, srtp": FREEPBX_SRTP,
    "twilio": TWILIO,
    "twilio, secure": TWILIO_SECURE,
    "telnyx": TELNYX,
    "baresip": BARESIP,
    "kamailio and rtpengine": RTPENGINE,
    "linphone": LINPHONE,
    "ipv6": IPV6,
}
