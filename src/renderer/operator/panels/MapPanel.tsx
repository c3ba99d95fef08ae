// All channels by area; here the target is chosen. Knows nothing about why a channel fires.
import { memo, useCallback, useRef } from "react";
import { cellAt, drawChannelMap, drawScale, layoutMap, quantities, scaleMax, type Quantity } from "../draw/channelMap.ts";
import { formatRate } from "../format.ts";
import { useLiveCanvas, useNowMs } from "../hooks.ts";
import { ActButton, Key, Panel } from "../parts.tsx";
import { readMs, useStore, useUi, useUiPaced } from "../store.ts";
import { channelLabel, isChoosing, targetOf, targetsOf, type UiState } from "../uiState.ts";
import type { Area } from "../draw/area.ts";

export interface MapSize {
  widthPx: number;
  heightPx: number;
}

const quantityWords: Readonly<Record<Quantity, { readonly short: string; readonly unit: string }>> = {
  evoked: { short: "evoked", unit: "spikes/s" }, rate: { short: "live", unit: "spikes/s" }, tuning: { short: "tuning", unit: "selectivity, 0–1" },
};

const none: readonly number[] = [];
const selectNothing = (): null => null;
/** Sorted units are targets of their own: "CH12:1". */
const selectHasUnits = (s: UiState): boolean => s.file === null && (s.snapshot?.channels.some((c) => /:\d+( \(sorting \d+\))?$/.test(c.name)) ?? false);

const selectChannels = (s: UiState): UiState["snapshot"] => s.snapshot;

export const MapPanel = memo(function MapPanel(props: {
  readonly quantity: Quantity;
  readonly cursor: number | null;
  readonly mayOperate: boolean;
  readonly onQuantity: (quantity: Quantity) => void;
  readonly onCursor: (channel: number | null) => void;
  readonly onTarget: (channel: number) => void;
  /** The operator has sorted units anew in the recording program. */
  readonly onResorted: () => void;
  /** Filled in here: the size that the map is laid out for, which the arrow keys follow. */
  readonly size: MapSize;
}) {
  const { quantity, cursor, size } = props;
  const store = useStore();
  /** Grows at once and shrinks slowly, so that colours do not jump with one loud channel. */
  const held = useRef<{ readonly quantity: Quantity; readonly max: number; readonly atMs: number } | null>(null);
  const draw = useCallback((area: Area, snapshot: UiState["snapshot"]) => {
    const live = snapshot?.live?.channels ?? null;
    const now = live === null ? 10 : scaleMax(live, quantity);
    const last = held.current;
    if (last === null || last.quantity !== quantity || now > last.max || performance.now() - last.atMs > 5000) held.current = { quantity, max: now, atMs: performance.now() };
    size.widthPx = area.widthPx;
    size.heightPx = area.heightPx;
    drawChannelMap(area, { channels: snapshot?.channels ?? [], live, quantity, max: held.current?.max ?? now, targets: isChoosing(store.get()) ? none : targetsOf(store.get()), thread: store.get().thread, cursor });
  }, [store, quantity, cursor, size]);
  const thread = useUi((s) => s.thread);
  // Drawn anew at once when another evolution is looked at.
  const drawFor = useCallback((area: Area, snapshot: UiState["snapshot"]) => draw(area, snapshot), [draw, thread]);
  const canvas = useLiveCanvas(selectChannels, drawFor, readMs);
  const onPoint = (event: React.MouseEvent<HTMLCanvasElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    const layout = layoutMap(store.get().snapshot?.channels ?? [], box.width, box.height);
    const hit = cellAt(layout, event.clientX - box.left, event.clientY - box.top);
    props.onCursor(hit === cursor ? null : hit);
  };
  const reviewing = useUi((s) => s.file !== null && !s.replaying);
  const hasUnits = useUi(selectHasUnits);
  const many = useUi((s) => s.snapshot?.channels.length ?? 0);
  return (
    <Panel
      name="map" title={reviewing ? "All channels, at the end" : "All channels"} age="live"
      aside={<>
        <span className="segments" role="radiogroup" aria-label="Quantity">
          {quantities.map((q) => <button type="button" role="radio" aria-checked={q === quantity} key={q} onMouseDown={(e) => e.preventDefault()} onClick={() => props.onQuantity(q)}>{quantityWords[q].short}</button>)}
        </span>
        <Key>V</Key>
        {props.mayOperate && hasUnits ? <ActButton className="bare" data-testid="units-resorted" title="Units were sorted anew in the recording program: their targets begin anew, and what this block measured of them is shown again" onClick={props.onResorted}>Sorted anew</ActButton> : null}
      </>}
    >
      {many === 0 ? <p className="waiting">The rig has not named its channels yet</p> : <canvas ref={canvas} data-testid="channel-map" role="img" aria-label={`${many} channels by area`} onClick={onPoint} />}
      {cursor === null ? <Scale quantity={quantity} held={held} /> : <Looked {...props} channel={cursor} />}
    </Panel>
  );
});

function Scale({ quantity, held }: { readonly quantity: Quantity; readonly held: React.RefObject<{ readonly max: number } | null> }) {
  const canvas = useLiveCanvas(selectNothing, drawScale);
  useNowMs();
  const counts = useUiPaced(selectStates, 1000);
  return (
    <div className="map-foot">
      <span>0</span><canvas ref={canvas} className="scale" role="img" aria-label="Colour scale" /><span>{quantity === "tuning" ? 1 : (held.current?.max ?? "")} {quantityWords[quantity].unit}</span>
      <span className="push">{counts}</span><span><Key>T</Key> target</span>
    </div>
  );
}

const selectStates = (s: UiState): string => {
  const status = s.snapshot?.live?.channels.status ?? [];
  const count = (word: string): number => status.filter((x) => x === word).length;
  return [["silent", count("silent")] as const, ["noisy", count("noisy")] as const].filter(([, n]) => n > 0).map(([word, n]) => `${n} ${word}`).join(", ");
};

const selectLiveChannels = (s: UiState): NonNullable<NonNullable<UiState["snapshot"]>["live"]>["channels"] | null => s.snapshot?.live?.channels ?? null;

/** The channel under the cursor in figures, and the way to make it the target. */
function Looked(props: { readonly channel: number; readonly quantity: Quantity; readonly mayOperate: boolean; readonly onCursor: (channel: number | null) => void; readonly onTarget: (channel: number) => void }) {
  const { channel } = props;
  const figures = useUiPaced(selectLiveChannels, readMs);
  const name = useUi((s) => channelLabel(s.snapshot?.channels.find((c) => c.index === channel), channel));
  const target = useUi(targetOf);
  const several = useUi((s) => targetsOf(s).length > 1);
  const evolvedBy = useUi((s) => (isChoosing(s) ? "" : targetsOf(s).flatMap((t, i) => (t === channel ? [i + 1] : [])).join(" and ")));
  const reviewing = useUi((s) => s.file !== null);
  const status = figures?.status[channel];
  return (
    <div className="map-foot looked" data-testid="looked-channel">
      <b>{name}</b>
      <span>{formatRate((props.quantity === "rate" ? figures?.rateHz : figures?.evokedHz)?.[channel])} spikes/s{props.quantity === "rate" ? " live" : " evoked"}, tuning {figures?.tuning[channel]?.toFixed(2) ?? "–"}{status === "silent" || status === "noisy" ? `, ${status}` : ""}</span>
      <span className="push" />
      {several && evolvedBy !== "" ? <span className="target-name">evolution {evolvedBy}</span> : null}
      {!props.mayOperate || reviewing ? null : target === channel && !several ? <span className="target-name">is the target</span> : <ActButton className="choose" data-testid="make-target" onClick={() => props.onTarget(channel)}>Make target <Key>Enter</Key></ActButton>}
      <ActButton className="bare" aria-label="Back to the target" onClick={() => props.onCursor(null)}><Key>Esc</Key></ActButton>
    </div>
  );
}
