// The middle of the console for every protocol but the evolution: what the step has so far, and its report once it has ended. Knows nothing about
// how protocols work.
import { memo, useCallback, useMemo } from "react";
import { drawConditions, drawPopulation, isNatural } from "../draw/conditions.ts";
import { drawField, drawFields, fieldAt, layoutFields, scaleOf } from "../draw/fields.ts";
import { drawHeat } from "../draw/heat.ts";
import { drawScale } from "../draw/channelMap.ts";
import { drawTuning } from "../draw/tuning.ts";
import { formatCount, formatRate } from "../format.ts";
import { useLiveCanvas } from "../hooks.ts";
import { useImages } from "../images.ts";
import { ActButton, Key, Panel, SessionImage } from "../parts.tsx";
import { useStore, useUi } from "../store.ts";
import { channelLabel, lookedReport, lookedStep, lookedView, targetOf, type UiState } from "../uiState.ts";
import { StepTables } from "./StepTables.tsx";
import { protocolWords, titleOf } from "./protocols.ts";
import type { Area } from "../draw/area.ts";
import type { ChannelState, StepState, StepView, StepViewOf } from "../../../shared/contract/index.ts";

const noChannels: readonly ChannelState[] = [];
const selectChannels = (s: UiState): readonly ChannelState[] => s.snapshot?.channels ?? noChannels;

function useChannelName(channel: number | null): string {
  return useUi((s) => (channel === null ? "" : channelLabel(s.snapshot?.channels.find((c) => c.index === channel), channel)));
}

export interface StepPanelProps {
  /** Channel under the cursor; null = the target. */
  readonly looked: number | null;
  readonly onLook: (channel: number | null) => void;
  readonly onReport: () => void;
}

export const StepPanel = memo(function StepPanel(props: StepPanelProps) {
  const step = useUi(lookedStep);
  const view = useUi(lookedView);
  if (step === null) return null;
  return (
    <>
      <ReportPanel onAll={props.onReport} />
      {view === null || view.protocol === "evolution" || (step.needs === "images" && step.settled === 0) ? <BeforePanel step={step} /> : <ViewPanel key={view.step} {...props} step={step} view={view} />}
    </>
  );
});

function BeforePanel({ step }: { readonly step: StepState }) {
  return (
    <Panel name="step" age="live" title={<b className="target-name">{titleOf(step)}</b>}>
      <div className="before-step" data-testid="step-waiting" data-protocol={step.protocol}>
        <p className="asks">{protocolWords[step.protocol].asks}</p>
        <p className="quiet">{step.state === "waiting" ? `This step has not begun${step.planned > 0 ? `: ${formatCount(step.planned)} images are planned` : ""}.` : step.message === "" ? "The first responses are on their way." : step.message}</p>
        {step.needs === "images" ? <p className="caution needs">▲ Waits for images. <Key>F</Key> fit neurons, ablate them, send images to the queue. <Key>S</Key> skip the step.</p> : null}
      </div>
    </Panel>
  );
}

function ViewPanel({ step, view, looked, onLook }: StepPanelProps & { readonly step: StepState; readonly view: Exclude<StepView, { protocol: "evolution" }> }) {
  const words = protocolWords[view.protocol];
  return (
    <Panel
      name="step" age="view"
      title={<><b className="target-name">{titleOf(step)}</b> <span className="asks">{words.asks}</span></>}
      aside={<span className="quiet">{step.message}</span>}
    >
      <div className="step-view" data-testid="step-view" data-protocol={view.protocol} data-step={step.index + 1} data-settled={step.settled}>
        {view.protocol === "rfMapping" ? <Fields view={view} looked={looked} onLook={onLook} />
          : view.protocol === "diverseSet" ? <Diverse view={view} looked={looked} onLook={onLook} />
          : view.protocol === "localisation" ? <Localisation view={view} />
          : view.protocol === "validation" ? <Validation view={view} />
          : view.protocol === "images" ? <Images view={view} />
          : <Lab view={view} />}
      </div>
    </Panel>
  );
}

// ---- report ------------------------------------------------------------------------------------------------------------------

/** What came of the step that is looked at, once it has ended. */
export const ReportPanel = memo(function ReportPanel({ onAll }: { readonly onAll: () => void }) {
  const report = useUi(lookedReport);
  const step = useUi(lookedStep);
  if (report === null || step === null) return null;
  const [first = "", ...rest] = report.sentences;
  return (
    <Panel
      name="report" age="report" title={report.outcome === "skipped" ? "Report, skipped before its end" : "Report"}
      aside={<ActButton className="chip" data-testid="whole-report" onClick={onAll}>in full{report.tables.length > 0 ? ", with its tables" : ""} <Key>P</Key></ActButton>}
    >
      <div className="step-report" data-testid="step-report" data-step={step.index + 1} data-outcome={report.outcome}>
        <p className="first">{first}</p>
        {rest.length === 0 ? null : <p className="quiet">{rest.join(" ")}</p>}
      </div>
    </Panel>
  );
});

// ---- receptive fields --------------------------------------------------------------------------------------------------------

function Fields({ view, looked, onLook }: { readonly view: StepViewOf<"rfMapping">; readonly looked: number | null; readonly onLook: (channel: number | null) => void }) {
  const channels = useUi(selectChannels);
  const target = useUi(targetOf);
  // Without a target yet: the channel whose field is described best.
  const best = useMemo(() => view.channels.filter((c) => c.field?.trusted === true).toSorted((a, b) => (b.field?.r2 ?? 0) - (a.field?.r2 ?? 0))[0]?.channel ?? view.channels[0]?.channel ?? null, [view]);
  const shown = looked ?? target ?? best;
  const name = useChannelName(shown);
  const map = view.channels.find((c) => c.channel === shown);
  const drawLarge = useCallback((area: Area) => drawField(area, view, shown), [view, shown]);
  const drawSmall = useCallback((area: Area) => drawFields(area, view, channels, shown), [view, channels, shown]);
  const large = useLiveCanvas(selectNothing, drawLarge);
  const small = useLiveCanvas(selectNothing, drawSmall);
  const scale = useLiveCanvas(selectNothing, drawScale);
  const trusted = view.channels.filter((c) => c.field?.trusted === true).length;
  const ends = scaleOf(map?.rateHz ?? []);
  const field = map?.field ?? null;
  return (
    <div className="fields-view">
      <div className="field-large">
        <figure>
          <figcaption><b className="target-name">{name}</b>{looked === null && target === null ? <span className="quiet">clearest field so far</span> : null}<span className="grow" /><span className="map-scale">{ends.low}<canvas ref={scale} className="scale" aria-hidden="true" />{ends.high} spikes/s</span></figcaption>
          <canvas ref={large} data-testid="field-map" role="img" aria-label={`Receptive-field map of ${name}`} />
        </figure>
        <dl className="view-figures row">
          <div><dt>centre</dt><dd data-testid="field-centre">{field === null ? "–" : <>{signed(field.centreXDeg)}° {signed(field.centreYDeg)}°</>}</dd></div>
          <div><dt>size</dt><dd data-testid="field-size">{field === null ? "–" : `${field.diameterDeg.toFixed(1)}°`}</dd></div>
          <div><dt>peak over floor</dt><dd>{field === null ? "–" : <>{field.peakHz.toFixed(0)}<small>over {field.floorHz.toFixed(0)} spikes/s</small></>}</dd></div>
          <div className={field?.trusted === false ? "doubted" : ""}><dt>{field?.trusted === false ? "▲ not trusted, explains" : "field explains"}</dt><dd>{field === null ? "–" : <>{Math.round(Math.max(0, field.r2) * 100)}<small>%</small></>}</dd></div>
        </dl>
        <p className="carried" data-testid="carried"><span className="legend-reference" />{view.carried === null ? "Where later images go comes with the first fields" : <span>Later images go to <b>{signed(view.carried.centreXDeg)}° {signed(view.carried.centreYDeg)}°</b>, field {view.carried.diameterDeg.toFixed(1)}°, {view.carried.channels === 1 ? "of one channel" : `median of ${view.carried.channels}`}</span>}</p>
      </div>
      <figure className="field-small">
        <figcaption><b>{trusted} of {view.channels.length}</b> <span className="quiet">channels have a field; the others are faded. Click one to see it large.</span></figcaption>
        <canvas
          ref={small} data-testid="field-maps" role="img" aria-label="Maps of all channels"
          onClick={(event) => {
            const box = event.currentTarget.getBoundingClientRect();
            const channel = fieldAt(layoutFields(channels, box.width, box.height).cells, event.clientX - box.left, event.clientY - box.top);
            onLook(channel === looked ? null : channel);
          }}
        />
      </figure>
    </div>
  );
}

const selectNothing = (): null => null;

function signed(value: number): string {
  const text = Math.abs(value).toFixed(1);
  return value < 0 && text !== "0.0" ? `−${text}` : `+${text}`;
}

// ---- diverse set -------------------------------------------------------------------------------------------------------------

const bestShown = 8;
const rowsShown = 14;

function Diverse({ view, looked, onLook }: { readonly view: StepViewOf<"diverseSet">; readonly looked: number | null; readonly onLook: (channel: number | null) => void }) {
  const session = useUi((s) => s.snapshot?.session?.id ?? "");
  const file = useUi((s) => s.file);
  const channels = useUi(selectChannels);
  const name = useChannelName(view.suggestedTarget);
  const ranked = useMemo(() => view.images.map((image, i) => ({ ...image, rateHz: view.targetRateHz[i] ?? null })).filter((i): i is typeof i & { readonly rateHz: number } => i.rateHz !== null).toSorted((a, b) => b.rateHz - a.rateHz), [view]);
  const tuning = useMemo(() => ({ sorted: ranked.map((i) => i.rateHz), waiting: view.images.length - ranked.length }), [ranked, view]);
  const draw = useCallback((area: Area) => drawTuning(area, tuning), [tuning]);
  const canvas = useLiveCanvas(selectNothing, draw);
  const counted = view.images.reduce((sum, i) => sum + i.counted, 0);
  const rows = useMemo(() => rowsOf(view, looked), [view, looked]);
  const target = view.channels.find((c) => c.channel === view.suggestedTarget);
  return (
    <div className="diverse-view">
      <div className="diverse-left">
        <dl className="view-figures row">
          <div><dt>images</dt><dd data-testid="diverse-images">{formatCount(view.images.length)}</dd></div>
          <div><dt>each counted</dt><dd>{view.images.length === 0 ? "–" : (counted / view.images.length).toFixed(1)}<small>times</small></dd></div>
          <div><dt>suggested target</dt><dd className="target-name" data-testid="suggested-target">{name === "" ? <small>after the first repeats</small> : name}</dd></div>
          <div><dt>its reliability</dt><dd>{figure(target?.reliability ?? null)}</dd></div>
          <div><dt>noise ceiling r</dt><dd>{figure(target?.noiseCeilingR ?? null)}</dd></div>
        </dl>
        <figure className="tuning-figure">
          <figcaption><b className="target-name">{name}</b> <span className="quiet">mean rate to every image, spikes/s, best first; bright above the mean</span></figcaption>
          <canvas ref={canvas} data-testid="tuning-curve" data-images={ranked.length} role="img" aria-label={`Tuning of ${name}`} />
        </figure>
        <ol className="best-images" aria-label="Best images">
          {Array.from({ length: bestShown }, (_, i) => {
            const image = ranked[i];
            return <li key={image?.imageId ?? `empty ${i}`}>{image === undefined ? <span className="image-wait" /> : <SessionImage session={session} file={file} imageId={image.imageId} alt={image.label} />}<span><b>{image === undefined ? "–" : formatRate(image.rateHz)}</b></span></li>;
          })}
        </ol>
      </div>
      <div className="diverse-table">
        <table data-testid="diverse-channels">
          <thead><tr><th>channel</th><th className="number">mean<small>spikes/s</small></th><th className="number">reliability<small>0–1</small></th><th className="number">selectivity<small>0–1</small></th><th className="number">ceiling<small>r</small></th><th>best</th></tr></thead>
          <tbody>
            {rows.map((c) => (
              <tr key={c.channel} className={c.channel === view.suggestedTarget ? "is-target" : ""} aria-selected={c.channel === looked} onClick={() => onLook(c.channel === looked ? null : c.channel)}>
                <td><b>{channelLabel(channels.find((x) => x.index === c.channel), c.channel)}</b></td>
                <td className="number">{formatRate(c.meanHz)}</td>
                <td className="number"><Meter value={c.reliability} /></td>
                <td className="number"><Meter value={c.sparseness} /></td>
                <td className="number">{figure(c.noiseCeilingR)}</td>
                <td className="thumb">{c.bestImageId === null ? null : <SessionImage session={session} file={file} imageId={c.bestImageId} alt="best image" />}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <p className="quiet">The {rows.length} most reliable of {view.channels.length}; the white one is the suggested target.</p>
      </div>
    </div>
  );
}

/** Most reliable first; a channel that is looked at is among them. */
function rowsOf(view: StepViewOf<"diverseSet">, looked: number | null): StepViewOf<"diverseSet">["channels"] {
  const sorted = view.channels.toSorted((a, b) => (b.reliability ?? -1) - (a.reliability ?? -1) || (b.meanHz ?? 0) - (a.meanHz ?? 0));
  const rows = sorted.slice(0, rowsShown);
  const chosen = sorted.find((c) => c.channel === looked);
  return chosen === undefined || rows.includes(chosen) ? rows : [...rows.slice(0, -1), chosen];
}

function figure(value: number | null): string {
  return value === null || !Number.isFinite(value) ? "–" : value.toFixed(2).replace(/^0\./, ".");
}

function Meter({ value }: { readonly value: number | null }) {
  return <span className="meter"><span className="meter-bar"><i style={{ transform: `scaleX(${Math.min(1, Math.max(0, value ?? 0))})` }} /></span>{figure(value)}</span>;
}

// ---- feature localisation ----------------------------------------------------------------------------------------------------

function Localisation({ view }: { readonly view: StepViewOf<"localisation"> }) {
  const images = useImages();
  const store = useStore();
  const session = useUi((s) => s.snapshot?.session?.id ?? "");
  const file = useUi((s) => s.file);
  const name = useChannelName(view.channel);
  const draw = useCallback((area: Area) => {
    const held = view.baseImageId === null ? null : images.get(store.get().snapshot?.session?.id ?? "", store.get().file, view.baseImageId);
    drawHeat(area, { view, image: held?.element ?? null });
  }, [view, images, store]);
  const canvas = useLiveCanvas(selectNothing, draw, 0, images.subscribe);
  const scale = useLiveCanvas(selectNothing, drawScale);
  const counted = view.discs.filter((d) => d.counted > 0).length;
  return (
    <div className="localisation-view">
      <figure>
        <figcaption><b className="target-name">{name}</b> <span className="quiet">loses rate where a disc is shuffled</span><span className="grow" /><span className="map-scale">none<canvas ref={scale} className="scale" aria-hidden="true" />most</span></figcaption>
        <canvas ref={canvas} className="heat" data-testid="heat-map" role="img" aria-label="Where the image matters" />
      </figure>
      <figure>
        <figcaption><b>What is kept</b> <span className="quiet">{view.keptShare === null ? "after all discs" : `${Math.round(view.keptShare * 100)} % of the image`}</span></figcaption>
        <div className="masked">{view.maskedImageId === null ? <p className="waiting">The masked image comes when every disc was shown</p> : <SessionImage session={session} file={file} imageId={view.maskedImageId} alt="Masked image" />}</div>
      </figure>
      <dl className="view-figures row">
        <div><dt>whole image</dt><dd className="evolved">{formatRate(view.intactHz)}<small>spikes/s, {view.intactCounted} counted</small></dd></div>
        <div><dt>discs shown</dt><dd>{counted}<small>of {view.discs.length}</small></dd></div>
        <div><dt>strongest change</dt><dd>{view.peak === null ? "–" : <>{Math.round(view.peak.change * 100)}<small>% less</small></>}</dd></div>
        <div><dt>kept part alone</dt><dd className="evolved" data-testid="masked-rate">{formatRate(view.maskedHz)}<small>spikes/s</small></dd></div>
        <div><dt>all but that part</dt><dd className="reference">{formatRate(view.complementHz)}<small>spikes/s</small></dd></div>
      </dl>
    </div>
  );
}

// ---- validation --------------------------------------------------------------------------------------------------------------

function Validation({ view }: { readonly view: StepViewOf<"validation"> }) {
  const name = useChannelName(view.channel);
  const draw = useCallback((area: Area) => drawConditions(area, view), [view]);
  const drawAreas = useCallback((area: Area) => drawPopulation(area, view), [view]);
  const canvas = useLiveCanvas(selectNothing, draw);
  const population = useLiveCanvas(selectNothing, drawAreas);
  const ablated = view.conditions.some((c) => /^(positive|negative) /.test(c.name));
  const against = view.conditions.some((c) => c.name === "control") ? "control" : "natural images";
  return (
    <div className="validation-view">
      <figure>
        <figcaption><b className="target-name">{name}</b> <span className="quiet">mean and 95 % interval over images; p against {against}</span><span className="grow" /><span className="legend-evolved dot">model images</span>{view.conditions.some((c) => isNatural(c.name)) ? <span className="legend-reference">natural</span> : null}</figcaption>
        {view.conditions.length === 0 ? <p className="waiting">Conditions come with the first images</p> : <canvas ref={canvas} data-testid="conditions" data-conditions={view.conditions.length} role="img" aria-label="Mean rates by condition" />}
        {ablated ? <p className="quiet">"positive 0.5": images of the model without half of its positive weights.</p> : null}
      </figure>
      <figure>
        <figcaption><b>Population</b> <span className="quiet">mean z-score of an area's channels</span></figcaption>
        {view.population.length === 0 ? <p className="waiting">after the first repeats</p> : <canvas ref={population} data-testid="population" role="img" aria-label="Population by area" />}
      </figure>
    </div>
  );
}

// ---- images, and a lab's own -------------------------------------------------------------------------------------------------

function Images({ view }: { readonly view: StepViewOf<"images"> }) {
  const session = useUi((s) => s.snapshot?.session?.id ?? "");
  const file = useUi((s) => s.file);
  const name = useChannelName(view.channel);
  const sorted = useMemo(() => view.images.toSorted((a, b) => (b.meanHz ?? -1) - (a.meanHz ?? -1)), [view]);
  const most = Math.max(1, ...view.images.map((i) => i.meanHz ?? 0));
  return (
    <div className="images-view">
      <p className="quiet"><b className="target-name">{name}</b> mean ± standard error, spikes/s, best first; {formatCount(view.images.length)} images</p>
      <ol className="sheet" data-testid="image-table">
        {sorted.slice(0, 60).map((image) => (
          <li key={image.imageId} title={`${image.label}, ${image.counted} counted`}>
            <SessionImage session={session} file={file} imageId={image.imageId} alt={image.label} />
            <span className="rate-bar plain"><i style={{ transform: `scaleX(${Math.max(0, image.meanHz ?? 0) / most})` }} /></span>
            <span><b>{formatRate(image.meanHz)}</b>{image.semHz === null ? "" : ` ± ${formatRate(image.semHz)}`}</span>
          </li>
        ))}
      </ol>
    </div>
  );
}

function Lab({ view }: { readonly view: StepViewOf<"lab"> }) {
  return (
    <div className="lab-view">
      {view.sentences.map((s) => <p key={s}>{s}</p>)}
      <StepTables tables={view.tables} rowsMax={18} />
    </div>
  );
}
