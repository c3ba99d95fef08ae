// Pupil Capture's network API as its documentation describes it: a clock and a port on request, gaze published as msgpack, with a clock of its own.
import { encode } from "@msgpack/msgpack";
import { Publisher, Reply } from "zeromq";

export interface Pupil {
  readonly port: number;
  /** The eye looks here from now on, in the program's units; null: it is shut. */
  lookAt(place: { readonly x: number; readonly y: number } | null): void;
  dispose(): void;
}

/** 250 samples/s, of which every twentieth is not seen unless `steady`. */
export async function aPupil({ steady = false }: { readonly steady?: boolean } = {}): Promise<Pupil> {
  const publisher = new Publisher({ linger: 0 });
  const remote = new Reply({ linger: 0 });
  await publisher.bind("tcp://127.0.0.1:*");
  await remote.bind("tcp://127.0.0.1:*");
  const portOf = (endpoint: string | null): number => Number(endpoint?.split(":").at(-1));
  const theirClockS = (): number => performance.now() / 1000 + 1e6;
  void (async () => {
    for await (const [ask] of remote) await remote.send(String(ask) === "t" ? String(theirClockS()) : String(portOf(publisher.lastEndpoint)));
  })().catch(() => undefined);
  let place: { readonly x: number; readonly y: number } | null = { x: 0.5, y: 0.4 };
  // One after the other: a socket takes one message at a time.
  let sending: Promise<unknown> = Promise.resolve();
  const publish = (confidence: number): void => {
    const { x, y } = place ?? { x: 0, y: 0 };
    const isShut = place === null;
    sending = sending.then(() => publisher.send(["gaze.3d.0.", encode({ topic: "gaze.3d.0.", norm_pos: [x, y], confidence: isShut ? 0 : confidence, timestamp: theirClockS() })])).catch(() => undefined);
  };
  let n = 0;
  const timer = setInterval(() => {
    for (let i = 0; i < 4; i++) publish(!steady && n++ % 100 < 5 ? 0.2 : 0.95);
  }, 16);
  return {
    port: portOf(remote.lastEndpoint),
    lookAt: (next) => void (place = next),
    dispose() {
      clearInterval(timer);
      publisher.close();
      remote.close();
    },
  };
}
