// Channels that fall silent in the middle of a session, and those that were left on purpose.
import { describe, expect, it } from "vitest";
import { createChannelWatch } from "../../../src/loop/channelWatch.ts";

/** Ten seconds of spikes on all channels, then none on `silent`; `left` are left before. */
function watched({ silent, left = [] }: { readonly silent: readonly number[]; readonly left?: readonly number[] }) {
  const told: string[] = [];
  let isOver = false;
  const watch = createChannelWatch({
    channels: { rates: () => [5, 5, 5].map((rate, i) => (isOver && silent.includes(i) ? 0 : rate)), statuses: () => [0, 1, 2].map((i) => (isOver && silent.includes(i) ? "silent" : "ok")) },
    alarms: { raise: ({ message }) => told.push(message), clear: () => undefined },
    nameOf: (index) => `CH${index}`,
  });
  for (let s = 0; s < 10; s++) watch.look(s * 1e9);
  watch.leave(left);
  isOver = true;
  for (let s = 10; s < 20; s++) watch.look(s * 1e9);
  return told;
}

describe("a channel that falls silent", () => {
  it("is an alarm that names it", () => {
    expect(watched({ silent: [1] })).toEqual([expect.stringMatching(/^CH1 has become silent/)]);
  });

  it("is none where its units were sorted anew: it was left for another", () => {
    expect(watched({ silent: [1], left: [1] })).toEqual([]);
    expect(watched({ silent: [0, 1], left: [1] })).toEqual([expect.stringMatching(/^CH0 has become silent/)]);
  });
});
