// Blackrock datagrams into records, in JavaScript: the same as native/kernel/blackrock.cpp does, for computers without the addon and for
// comparison. Knows nothing about sockets.
import { recordKinds } from "../../native/records.ts";
import type { DatagramParser } from "../udp/receiver.ts";
import { configurationChannel, packetTypes, readHead } from "./packets.ts";
import type { BlackrockProtocol } from "./packets.ts";

const spikeSizeMin = 16;
const digitalSizeMin = 4;
const remembered = 64;

/** null: the protocol is not known yet, and every datagram is handed over whole. */
export function createBlackrockParser(protocol: BlackrockProtocol | null): DatagramParser {
  const hashes = new Array<string>(remembered).fill("");
  let nextHash = 0;
  let sinceMonitor = 0;
  let wraps = 0;
  let newest32 = 0;

  function isSecond(view: DataView): boolean {
    // Two 32-bit hashes (FNV-1a over words) and the size.
    let one = 0x811c9dc5 ^ view.byteLength;
    let other = 0x9747b28c;
    let i = 0;
    for (; i + 4 <= view.byteLength; i += 4) {
      const word = view.getUint32(i, true);
      one = Math.imul(one ^ word, 0x01000193);
      other = Math.imul(other ^ word, 0x85ebca6b) + i;
    }
    for (; i < view.byteLength; i++) one = Math.imul(one ^ view.getUint8(i), 0x01000193);
    const hash = `${view.byteLength} ${one} ${other}`;
    if (hashes.includes(hash)) return true;
    hashes[nextHash] = hash;
    nextHash = (nextHash + 1) % remembered;
    return false;
  }

  return (bytes, arrivalNs, out) => {
    if (protocol === null) {
      out.pushBlob(bytes, 0, 0, arrivalNs);
      return;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let readable = 0;
    let packets = 0;
    let carriesData = false;
    for (;;) {
      const head = readable < bytes.length ? readHead(protocol, view, readable) : null;
      if (head === null) break;
      if (head.channel !== 0 && (head.channel & configurationChannel) === 0) carriesData = true;
      readable += head.headSize + head.payloadSize;
      packets += 1;
    }
    if (carriesData && isSecond(view)) {
      out.push(0, 0, arrivalNs, 0, recordKinds.duplicate, 0, packets, 0, 0);
      return;
    }
    let offset = 0;
    while (offset < readable) {
      const head = readHead(protocol, view, offset);
      if (head === null) break;
      const payload = offset + head.headSize;
      const start = offset;
      offset = payload + head.payloadSize;
      sinceMonitor += 1;
      const { timeLow, channel, type } = head;
      let { timeHigh } = head;
      if (protocol === "3.11") {
        if (timeLow < newest32 && newest32 - timeLow > 0x8000_0000) wraps += 1;
        const isBeforeWrap = timeLow > newest32 && timeLow - newest32 > 0x8000_0000 && wraps > 0;
        if (!isBeforeWrap) newest32 = timeLow;
        timeHigh = isBeforeWrap ? wraps - 1 : wraps;
      }
      if ((channel & configurationChannel) !== 0) {
        if (type === packetTypes.heartbeat) continue;
        if (type === packetTypes.monitor && head.payloadSize >= 4) {
          out.push(timeLow, timeHigh, arrivalNs, channel, recordKinds.monitor, 0, view.getUint32(payload, true), head.payloadSize >= 8 ? view.getUint32(payload + 4, true) : 0, sinceMonitor);
          sinceMonitor = 0;
          continue;
        }
        out.pushBlob(bytes.subarray(start, offset), timeLow, timeHigh, arrivalNs);
        continue;
      }
      if (channel === 0) continue;
      if (head.payloadSize >= spikeSizeMin) {
        out.push(timeLow, timeHigh, arrivalNs, channel, recordKinds.spike, type & 0xff, 0, 0, 0);
      } else if (head.payloadSize >= digitalSizeMin) {
        out.push(timeLow, timeHigh, arrivalNs, channel, recordKinds.digital, type & 0xff, view.getUint32(payload, true), head.payloadSize >= 8 ? view.getUint32(payload + 4, true) : 0, head.payloadSize >= 12 ? view.getUint32(payload + 8, true) : 0);
      }
    }
    if (readable !== bytes.length) out.push(0, 0, arrivalNs, 0, recordKinds.malformed, 0, bytes.length, readable, packets);
  };
}
