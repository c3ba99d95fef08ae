// How the target (or a channel that is looked at) answers images: raster and PSTH. Knows nothing about scores.
import { memo, useCallback, useEffect, useMemo, useState } from "react";
import { drawPsth, kindOf } from "../draw/psth.ts";
import { useLiveCanvas } from "../hooks.ts";
import { Panel } from "../parts.tsx";
import { readMs, useStore, useUi, useUiPaced } from "../store.ts";
import { channelLabel, isChoosing, presentationsMax, targetOf, type UiState } from "../uiState.ts";
import type { Area } from "../draw/area.ts";
import type { EngineClient, PresentationEvent } from "../../../shared/contract/index.ts";

const onsetWords: Readonly<Record<string, string>> = {
  photodiode: "photodiode onset", strobe: "strobed onset", flip: "the display's onset, no photodiode", scheduled: "the planned onset, none measured",
};

const selectLive = (s: UiState): readonly PresentationEvent[] => s.presentations;

export const RasterPanel = memo(function RasterPanel({ client, looked }: { readonly client: EngineClient; readonly looked: number | null }) {
  const store = useStore();
  const target = useUi(targetOf);
  const other = looked !== null && looked !== target ? looked : null;
  const file = useUi((s) => s.file);
  const fetched = useResponses(client, other, file, target);
  const select = useCallback((s: UiState) => fetched ?? selectLive(s), [fetched]);
  const draw = useCallback((area: Area, presentations: readonly PresentationEvent[]) => {
    const response = store.get().snapshot?.response;
    drawPsth(area, { presentations, response: response ?? { windowStartMs: 70, windowEndMs: 170, onMs: 100 } });
  }, [store]);
  const canvas = useLiveCanvas(select, draw, readMs);
  const label = useUi((s) => {
    const channel = other ?? target;
    return channel === null ? "" : channelLabel(s.snapshot?.channels.find((c) => c.index === channel), channel);
  });
  const choosing = useUi(isChoosing);
  const live = useUiPaced(selectLive, readMs);
  const shown = fetched ?? live;
  const kinds = shown.length === 0 ? ["evolved", "reference"] : shown.map(kindOf);
  const modelled = shown.some((p) => p.kind === "model");
  const onset = shown.at(-1)?.onsetSource ?? null;
  const measured = onset === "photodiode" || onset === "strobe";
  const note = `last ${shown.length}${onset === null || measured ? ", newest lowest" : ""}${onset === null ? "" : `, at ${onsetWords[onset] ?? onset}`}`;
  const title = useMemo(() => (choosing && other === null ? <>{label} <span className="quiet">until a target is chosen</span></> : other === null ? <>Target <b className="target-name">{label}</b></> : <>{label} <span className="quiet">not the target</span></>), [choosing, other, label]);
  return (
    <Panel
      name="raster" title={title} {...(file === null ? { age: "presentation" as const } : {})}
      aside={<>
        {kinds.includes("evolved") ? <span className="legend-evolved">{modelled ? "model's" : "evolved"}</span> : null}{kinds.includes("reference") ? <span className="legend-reference">reference</span> : null}{kinds.includes("plain") ? <span className="legend-plain">images</span> : null}<span className="legend-window">response window</span>
        <span className={onset === null || measured ? "quiet" : "caution"} title={note}>{note}</span>
      </>}
    >
      <canvas ref={canvas} data-testid="raster" role="img" aria-label="Raster and PSTH" title="Each row an image, the newest lowest; below, rates in time." />
      {shown.length > 0 ? null : <p className="raster-none">{file === null ? "No response of this channel yet" : "No response of this channel stands in this generation. Space replays the session."}</p>}
    </Panel>
  );
});

/** Responses that do not come by themselves: of a channel that is not the target, or of a recorded session. null = the store has them. */
function useResponses(client: EngineClient, other: number | null, file: string | null, target: number | null): readonly PresentationEvent[] | null {
  const [fetched, setFetched] = useState<readonly PresentationEvent[] | null>(null);
  const replaying = useUi((s) => s.replaying);
  const generation = useUi((s) => (s.replaying ? Math.max(0, s.snapshot?.live?.progress.generation ?? 0) : s.atGeneration));
  const channel = file === null || replaying ? other : (other ?? target);
  useEffect(() => {
    setFetched(channel === null ? null : []);
    if (channel === null) return;
    let over = false;
    const ask = async (): Promise<void> => {
      const answer = file === null
        ? await client.call("session.responses", { channel, last: presentationsMax })
        : await client.call("sessions.responses", { file, channel, generation, last: presentationsMax });
      if (!over && answer.ok) setFetched(answer.value);
    };
    const first = setTimeout(() => void ask(), file === null ? 0 : 120);
    const again = file === null ? setInterval(() => void ask(), 1000) : null;
    return () => {
      over = true;
      clearTimeout(first);
      if (again !== null) clearInterval(again);
    };
  }, [client, channel, file, generation]);
  return channel === null ? null : fetched;
}
