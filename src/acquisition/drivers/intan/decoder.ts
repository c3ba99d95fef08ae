// From RHX's blocks and spike records to a stream of source events. The waveform port carries the clock: RHX writes a block's spikes after
// its waveforms, so all spikes before a block have come once the next block is there. Pure but for its state; knows nothing about sockets.
import { nsPerMs, rigTimeNs } from "../../../shared/units.ts";
import type { HostTimeNs } from "../../../shared/units.ts";
import type { SourceEvent } from "../../../shared/values.ts";
import { createRigClock } from "../common/spikeStream.ts";
import type { SpikeStream } from "../common/spikeStream.ts";
import { createSpikeStream } from "../common/spikeStream.ts";
import { createHighPass, createThresholdDetector } from "./detector.ts";
import type { ThresholdDetector } from "./detector.ts";
import type { IntanOptions } from "./options.ts";
import { createSpikeParser, createWaveformParser, framesPerBlock } from "./protocol.ts";
import type { SpikeRecord, WaveformBlock } from "./protocol.ts";

/** Step of the amplifier's samples, µV; zero is at 32768. */
const microvoltsPerStep = 0.195;
const counterTicks = 2 ** 32;
/** Spikes may trail the stream by this much before they are of a run that has not begun yet, s. */
const behindS = 2;
/** The hold-back grows to what spikes need, up to this: what is later still was held up by something else. */
const holdBackMaxMs = 150;

export interface IntanDecoder {
  readonly stream: SpikeStream;
  waveforms(piece: Uint8Array, arrivedHostNs: HostTimeNs): void;
  spikes(piece: Uint8Array, arrivedHostNs: HostTimeNs): void;
  /** Nothing more can be under way for what the newest block tells: called once the sockets have been read dry. */
  settle(nowHostNs: HostTimeNs): void;
  finish(nowHostNs: HostTimeNs): void;
  readonly packets: number;
  /** Words of a frame as the stream has them; null before the first block. */
  readonly wordsPerFrame: number | null;
  thresholdsMicrovolts(): Float64Array | null;
}

export function createIntanDecoder(options: IntanOptions & { readonly rateHz: number; readonly writeBlocks: number }, emit: (event: SourceEvent) => void): IntanDecoder {
  const { rateHz, channels } = options;
  const stream = createSpikeStream({ channels, areas: options.areas, emit });
  const bands = options.band === "none" ? 0 : channels.length;
  const detects = options.detect === "always" || (options.detect === "auto" && options.spikePort === null);
  const expectedWords = bands + (options.digitalIn ? 1 : 0);
  const waveformParser = createWaveformParser({ expectedWords });
  const spikeParser = createSpikeParser();
  const clock = createRigClock({ tickHz: rateHz, counterTicks, backTicks: 0, forward: false });
  const detector: ThresholdDetector | null = detects && bands > 0 ? createThresholdDetector({ channelCount: bands, sampleRateHz: rateHz, thresholdSd: options.thresholdSd, refractoryMs: options.refractoryMs }) : null;
  const highPass = detector !== null && options.band === "wide" && options.highPassHz > 0 ? createHighPass({ channelCount: bands, sampleRateHz: rateHz, cutoffHz: options.highPassHz }) : null;
  const samples = new Float32Array(bands);
  let packets = 0;
  /** Tick after the newest block. */
  let nextTick: number | null = null;
  let newestBlockTick: number | null = null;
  let newestSpikeTick: number | null = null;
  let digital: number | null = null;
  let isLayoutReported = false;
  /** Spikes of a run whose first block has not come. */
  let early: SpikeRecord[] = [];
  let holdBackNs = options.holdBackMs * nsPerMs;
  /** When the newest block (or, without blocks, spike) came. */
  let reachedHostNs: HostTimeNs | null = null;

  /** What the old numbering still holds goes out as of the time at which it came: it tells nothing about the new one. */
  const flush = (arrivedHostNs: HostTimeNs) => () => {
    stream.flush(reachedHostNs ?? arrivedHostNs);
    return stream.watermarkRigNs;
  };

  function takeBlock(block: WaveformBlock, arrivedHostNs: HostTimeNs): void {
    packets += 1;
    const { firstTick, wordsPerFrame } = block;
    if (nextTick !== null && firstTick !== nextTick) {
      const ahead = (firstTick - nextTick + counterTicks) % counterTicks;
      if (ahead < counterTicks / 2) {
        const lostPackets = Math.ceil(ahead / framesPerBlock);
        stream.report({ kind: "gap", lostPackets, stream: "waveform blocks", atRigNs: rigTimeNs(clock.toNs(firstTick)) }, arrivedHostNs);
      } else {
        // RHX was stopped and started: its counter begins again.
        const jump = clock.reach(firstTick, arrivedHostNs, flush(arrivedHostNs));
        if (jump !== null) stream.report({ kind: "clockJump", jumpMs: jump.jumpMs, atRigNs: rigTimeNs(jump.atRigNs) }, arrivedHostNs);
        const waiting = early;
        early = [];
        newestBlockTick = firstTick;
        for (const record of waiting) takeSpike(record, arrivedHostNs);
        digital = null;
      }
    }
    if (!block.isContinuous) stream.report({ kind: "malformed", reason: "expected a waveform block whose time stamps follow each other", packets: 1 }, arrivedHostNs);
    clock.reach(firstTick, arrivedHostNs, flush(arrivedHostNs));
    reachedHostNs = arrivedHostNs;
    newestBlockTick = firstTick;
    nextTick = (firstTick + framesPerBlock) % counterTicks;
    if (wordsPerFrame !== expectedWords) {
      if (!isLayoutReported) {
        isLayoutReported = true;
        const wanted = `${bands === 0 ? "no samples" : `${bands} samples (${options.band} band)`}${options.digitalIn ? " and the digital inputs" : ""}`;
        stream.report({ kind: "malformed", reason: `expected frames with ${wanted}, ${expectedWords} words, got ${wordsPerFrame}: RHX sends another selection than the rig's settings name. Samples and marks are not used; make the two agree`, packets: 0 }, arrivedHostNs);
      }
      return;
    }
    for (let frame = 0; frame < framesPerBlock; frame++) {
      const at = frame * wordsPerFrame;
      const tick = firstTick + frame;
      if (detector !== null) {
        for (let channel = 0; channel < bands; channel++) samples[channel] = ((block.words[at + channel] ?? 32_768) - 32_768) * microvoltsPerStep;
        highPass?.(samples);
        detector.frame(samples, 0, tick, (channel, spikeTick) => stream.spike(clock.toNs(spikeTick), channel, 0, arrivedHostNs));
      }
      if (options.digitalIn) takeDigital(block.words[at + wordsPerFrame - 1] ?? 0, tick, arrivedHostNs);
    }
  }

  function takeDigital(word: number, tick: number, arrivedHostNs: HostTimeNs): void {
    if (digital === null || digital === word) {
      digital = word;
      return;
    }
    const changed = digital ^ word;
    digital = word;
    for (let bit = 0; bit < 16; bit++) {
      if (((changed >> bit) & 1) === 0) continue;
      const line = bit + 1;
      stream.mark({ kind: line === options.photodiodeLine ? "photodiode" : "ttl", rigNs: clock.toNs(tick), line, state: ((word >> bit) & 1) === 1, word }, arrivedHostNs);
    }
  }

  function takeSpike(record: SpikeRecord, arrivedHostNs: HostTimeNs): void {
    if (detects) return;
    const reference = newestBlockTick ?? newestSpikeTick;
    if (reference !== null && reference - record.tick > behindS * rateHz && reference - record.tick < counterTicks / 2) {
      if (options.waveformPort !== null) {
        early.push(record);
        return;
      }
      const jump = clock.reach(record.tick, arrivedHostNs, flush(arrivedHostNs));
      if (jump !== null) stream.report({ kind: "clockJump", jumpMs: jump.jumpMs, atRigNs: rigTimeNs(jump.atRigNs) }, arrivedHostNs);
      newestSpikeTick = record.tick;
    }
    if (options.waveformPort === null && (newestSpikeTick === null || record.tick > newestSpikeTick)) {
      newestSpikeTick = record.tick;
      clock.reach(record.tick, arrivedHostNs, flush(arrivedHostNs));
      reachedHostNs = arrivedHostNs;
    }
    const rigNs = clock.toNs(record.tick);
    // The two ports are two connections, and TCP may hold one up for some milliseconds: then a spike comes behind a block that was sent after it.
    if (rigNs < stream.watermarkRigNs) holdBackNs = Math.max(holdBackNs, Math.min(holdBackMaxMs * nsPerMs, holdBackNs + stream.watermarkRigNs - rigNs));
    // 64 is a spike that no sorting window claims; with 128 RHX calls it a likely artifact, and it is kept under that name.
    stream.spike(rigNs, stream.channelOf(record.channel), record.id === 64 ? 0 : record.id, arrivedHostNs);
  }

  return {
    stream,
    waveforms(piece, arrivedHostNs) {
      stream.alive(arrivedHostNs);
      for (const parsed of waveformParser.take(piece)) {
        if (parsed.kind === "item") takeBlock(parsed.item, arrivedHostNs);
        else stream.report({ kind: "malformed", reason: parsed.reason, packets: 1 }, arrivedHostNs);
      }
    },
    spikes(piece, arrivedHostNs) {
      stream.alive(arrivedHostNs);
      for (const parsed of spikeParser.take(piece)) {
        if (parsed.kind === "item") {
          packets += 1;
          takeSpike(parsed.item, arrivedHostNs);
        } else stream.report({ kind: "malformed", reason: parsed.reason, packets: 1 }, arrivedHostNs);
      }
    },
    settle(nowHostNs) {
      if (newestBlockTick !== null) {
        // With own detection a block's spikes are known when it is read; else they follow the whole write of which the block is the last.
        const reachedTick = newestBlockTick + framesPerBlock - (detects ? 0 : options.writeBlocks * framesPerBlock);
        stream.advance(clock.toNs(reachedTick) - (detects ? 0 : holdBackNs), nowHostNs);
      } else if (options.waveformPort === null && newestSpikeTick !== null) {
        // Spikes of one write of RHX (a block) come in the order of channels.
        stream.advance(clock.toNs(newestSpikeTick) - Math.round((options.writeBlocks * framesPerBlock * 1e9) / rateHz) - holdBackNs, nowHostNs);
      }
    },
    finish(nowHostNs) {
      stream.flush(nowHostNs);
    },
    get packets() {
      return packets;
    },
    get wordsPerFrame() {
      return waveformParser.wordsPerFrame;
    },
    thresholdsMicrovolts: () => detector?.thresholds() ?? null,
  };
}
