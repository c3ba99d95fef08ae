// Neuron models of one recorded session: a card for every unit, the best one first and large. Knows nothing about how models are fitted.
import { useCallback, useEffect, useMemo, useState } from "react";
import { ActButton, LevelMark, Panel } from "../operator/parts.tsx";
import { ChoiceField, NumberField } from "../operator/start/fields.tsx";
import { Scatter, Weights } from "./charts.tsx";
import { useSize } from "../operator/hooks.ts";
import { cardsInOrder, layoutCards, numberWords, shareWords, usualEncoder } from "./insilicoView.ts";
import type { UnitChoice } from "./InsilicoScreen.tsx";
import type { AppDescription, EngineClient, SessionFitView, SessionSummary, UnitCard } from "../../shared/contract/index.ts";

export function Fits({ client, mayOperate, onAblate }: { readonly client: EngineClient; readonly mayOperate: boolean; readonly onAblate: (choice: UnitChoice) => void }) {
  const sessions = useAnswer(client, "sessions.list");
  const app = useAnswer(client, "app.describe");
  const [file, setFile] = useState<string | null>(null);
  const chosen = file ?? sessions?.find((s) => s.state !== "unreadable")?.file ?? null;
  const { fit, busy, problem, run } = useFit(client, chosen);
  const [unit, setUnit] = useState<string | null>(null);
  const cards = useMemo(() => cardsInOrder(fit?.units ?? []), [fit]);
  const shown = cards.find((card) => card.name === unit) ?? (fit?.bestUnit == null ? undefined : fit.units[fit.bestUnit]) ?? cards[0];

  const room = useSize();
  const layout = layoutCards(cards.length, room.widthPx, room.heightPx);
  return (
    <main className="fits">
      <div className="insilico-side">
        <Settings app={app} sessions={sessions ?? []} file={chosen} busy={busy} mayOperate={mayOperate} onFile={setFile} onFit={run} />
        {problem === null ? null : <p className="fault" role="alert"><LevelMark level="fault" /> {problem}</p>}
        {fit === null || shown === undefined ? null : <Detail fit={fit} card={shown} mayOperate={mayOperate} onAblate={onAblate} />}
      </div>
      <Panel
        name="cards" title="Units"
        aside={fit === null ? undefined : <span className="quiet">{fit.units.length} units on {fit.images} images, {fit.encoder} {fit.layer}. Same sign over units: {fit.consistentPositive} features positive, {fit.consistentNegative} negative of {fit.features}</span>}
      >
        {fit === null ? <p className="empty">{busy ? "Fitting every unit" : chosen === null ? "Record a session first." : "Fit the session's units to see them here."}</p> : null}
        <div className={layout.isCompact ? "unit-cards compact" : "unit-cards"} ref={room.ref} data-fits={layout.fits} style={{ gridTemplateColumns: `repeat(${layout.columns}, minmax(0, 1fr))`, gridAutoRows: `${layout.rowPx}px` }}>
          {cards.map((card) => (
            <button key={card.name} type="button" className={card === shown ? "unit-card on" : "unit-card"} aria-pressed={card === shown} data-testid="unit-card" onClick={() => setUnit(card.name)}>
              <span className="name"><b>{card.name}</b>{fit !== null && fit.bestUnit !== null && fit.units[fit.bestUnit]?.name === card.name ? <em>best</em> : layout.isCompact ? null : <span className="quiet">{card.area}</span>}{layout.isCompact ? <span title="r², held-out images">{shareWords(card.r2Test ?? card.r2Train)}</span> : null}</span>
              <Scatter card={card} />
              {layout.isCompact ? null : <Weights card={card} />}
              {layout.isCompact ? null : <span className="scores"><span>r² <b>{shareWords(card.r2Test ?? card.r2Train)}</b></span><span className="quiet">ceiling r {shareWords(card.ceilingR)}</span></span>}
            </button>
          ))}
        </div>
      </Panel>
    </main>
  );
}

interface SettingsProps {
  readonly app: AppDescription | null;
  readonly sessions: readonly SessionSummary[];
  readonly file: string | null;
  readonly busy: boolean;
  readonly mayOperate: boolean;
  readonly onFile: (file: string) => void;
  readonly onFit: (settings: { readonly encoder: string; readonly layer: string | null; readonly method: "pls" | "lasso" | "ridge"; readonly components: number }) => void;
}

function Settings({ app, sessions, file, busy, mayOperate, onFile, onFit }: SettingsProps) {
  const encoders = app?.models.filter((m) => m.kind === "encoder" && m.problem === null) ?? [];
  const [encoder, setEncoder] = useState<string | null>(null);
  const [layer, setLayer] = useState<string | null>(null);
  const [method, setMethod] = useState<"pls" | "lasso" | "ridge">("pls");
  const [components, setComponents] = useState(1);
  const useEncoder = encoder ?? usualEncoder(encoders.map((m) => m.id));
  const chosen = encoders.find((m) => m.id === useEncoder);
  const useLayer = layer !== null && chosen?.layers.includes(layer) === true ? layer : (chosen?.penultimate ?? null);
  const readable = sessions.filter((s) => s.state !== "unreadable");
  return (
    <Panel name="fit" title="Fit">
      <ChoiceField label="Session" testid="fit-session" value={file ?? ""} choices={readable.length === 0 ? [{ value: "", label: "none recorded yet" }] : readable.map((s) => ({ value: s.file, label: `${s.startedUtc.slice(0, 16).replace("T", " ")} ${s.subject}, ${s.presentations} images shown` }))} onChange={onFile} />
      <ChoiceField label="Features of" testid="fit-encoder" value={useEncoder} choices={encoders.map((m) => ({ value: m.id, label: m.title }))} onChange={setEncoder} />
      {useLayer === null ? null : <ChoiceField label="Layer" testid="fit-layer" value={useLayer} choices={(chosen?.layers ?? []).toReversed().map((name) => ({ value: name, label: name === chosen?.penultimate ? `${name} (the usual one)` : name }))} onChange={setLayer} />}
      <ChoiceField label="Regression" testid="fit-method" value={method} choices={[{ value: "pls", label: "PLS" }, { value: "lasso", label: "Lasso" }, { value: "ridge", label: "Ridge" }]} onChange={(value) => setMethod(value === "lasso" || value === "ridge" ? value : "pls")} />
      {method === "pls" ? <NumberField label="Components" testid="fit-components" value={components} onChange={(value) => setComponents(value ?? 1)} /> : null}
      <ActButton className="primary wide" data-testid="fit-run" disabled={!mayOperate || busy || file === null || useEncoder === "" || !(components >= 1 && components <= 10)} onClick={() => onFit({ encoder: useEncoder, layer: useLayer === chosen?.penultimate ? null : useLayer, method, components })}>{busy ? "Fitting" : "Fit all units"}</ActButton>
    </Panel>
  );
}

function Detail({ fit, card, mayOperate, onAblate }: { readonly fit: SessionFitView; readonly card: UnitCard; readonly mayOperate: boolean; readonly onAblate: (choice: UnitChoice) => void }) {
  const facts: readonly (readonly [string, string])[] = [
    ["r², held-out images", shareWords(card.r2Test)], ["r², fitted images", shareWords(card.r2Train)], ["r", shareWords(card.r)], ["Noise ceiling of r", shareWords(card.ceilingR)], ["Noise-corrected r", shareWords(card.noiseCorrectedR)], ["Positive / negative weight", numberWords(card.positiveToNegative)],
  ];
  return (
    <Panel name="unit" title={card.name} aside={<span className="quiet">{card.area}, channel {card.channel}</span>}>
      <Scatter card={card} large />
      <p className="legend"><span className="key test">●</span> held-out <span className="key train">○</span> fitted</p>
      <dl className="facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      <ActButton className="wide" data-testid="ablate-unit" disabled={!mayOperate} onClick={() => onAblate({ file: fit.file, names: [card.name] })}>Ablate this unit</ActButton>
      <p className="quiet path" title={fit.report}>Report: {fit.report}</p>
    </Panel>
  );
}

function useFit(client: EngineClient, file: string | null) {
  const [fit, setFit] = useState<SessionFitView | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    setFit(null);
    setProblem(null);
    if (file === null) return;
    let over = false;
    void client.call("insilico.storedFit", { file }).then((answer) => {
      if (!over && answer.ok) setFit(answer.value);
    });
    return () => void (over = true);
  }, [client, file]);
  const run = useCallback((settings: { readonly encoder: string; readonly layer: string | null; readonly method: "pls" | "lasso" | "ridge"; readonly components: number }) => {
    if (file === null) return;
    setBusy(true);
    setProblem(null);
    void client.call("insilico.fit", { file, ...settings }).then((answer) => {
      setBusy(false);
      if (answer.ok) setFit(answer.value);
      else setProblem(answer.error.message);
    });
  }, [client, file]);
  return { fit, busy, problem, run };
}

/** One answer of a method without arguments, asked once. */
export function useAnswer(client: EngineClient, method: "sessions.list"): readonly SessionSummary[] | null;
export function useAnswer(client: EngineClient, method: "app.describe"): AppDescription | null;
export function useAnswer(client: EngineClient, method: "sessions.list" | "app.describe"): unknown {
  const [value, setValue] = useState<unknown>(null);
  useEffect(() => {
    void client.call(method, {}).then((answer) => {
      if (answer.ok) setValue(answer.value);
    });
  }, [client, method]);
  return value;
}
