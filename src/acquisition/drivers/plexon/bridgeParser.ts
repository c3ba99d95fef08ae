// Bridge datagrams into records, in JavaScript: the same as native/kernel/bridge.cpp does. Knows nothing about sockets.
import { recordKinds } from "../../native/records.ts";
import type { DatagramParser } from "../udp/receiver.ts";
import { bridgeHeadSize, bridgeMagic, bridgeRecordSize, bridgeTypes, bridgeVersion } from "./bridgeProtocol.ts";

export function createBridgeParser(): DatagramParser {
  return (bytes, arrivalNs, out) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (bytes.length < bridgeHeadSize || view.getUint32(0, true) !== bridgeMagic || view.getUint8(4) !== bridgeVersion) {
      out.push(0, 0, arrivalNs, 0, recordKinds.malformed, 0, bytes.length, 0, 0);
      return;
    }
    if (view.getUint8(5) !== bridgeTypes.data) {
      out.pushBlob(bytes, view.getUint32(16, true), view.getUint32(20, true), arrivalNs);
      return;
    }
    const count = view.getUint16(6, true);
    if (bytes.length !== bridgeHeadSize + count * bridgeRecordSize) {
      out.push(0, 0, arrivalNs, 0, recordKinds.malformed, 0, bytes.length, bridgeHeadSize, 0);
      return;
    }
    out.push(view.getUint32(16, true), view.getUint32(20, true), arrivalNs, 0, recordKinds.frame, 0, view.getUint32(8, true), count, view.getUint32(24, true));
    out.push(view.getUint32(32, true), view.getUint32(36, true), arrivalNs, 0, recordKinds.frameUntil, 0, view.getUint32(12, true), 0, 0);
    for (let i = 0; i < count; i++) {
      const at = bridgeHeadSize + i * bridgeRecordSize;
      const kind = view.getUint8(at + 11);
      if (kind === 1) out.push(view.getUint32(at, true), view.getUint32(at + 4, true), arrivalNs, view.getUint16(at + 8, true), recordKinds.spike, view.getUint8(at + 10), 0, 0, 0);
      else out.push(view.getUint32(at, true), view.getUint32(at + 4, true), arrivalNs, view.getUint16(at + 8, true), recordKinds.mark, view.getUint8(at + 10), view.getUint32(at + 12, true), kind, 0);
    }
  };
}
