// Ablation sweeps: start one, watch it, and look at what came: images by strength, curves with intervals, every run. Knows nothing about
// optimizers or networks.
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ActButton, Dialog, LevelMark, Panel } from "../operator/parts.tsx";
import { ChoiceField, NumberField, TextField } from "../operator/start/fields.tsx";
import { Curve } from "./charts.tsx";
import { useAnswer } from "./Fits.tsx";
import { bestOfEach, conditionWords, galleryOf, numberWords, queuedImageOf, readAlphas, remainingWords, usualEncoder, usualGenerator } from "./insilicoView.ts";
import type { Sign } from "./insilicoView.ts";
import type { UnitChoice } from "./InsilicoScreen.tsx";
import type { EngineClient, MethodInput, SweepLine, SweepRun, SweepView } from "../../shared/contract/index.ts";

interface At {
  readonly sign: Sign;
  readonly alpha: number;
}

export function Ablation({ client, mayOperate, choice, onFit }: { readonly client: EngineClient; readonly mayOperate: boolean; readonly choice: UnitChoice | null; readonly onFit: () => void }) {
  const { lines, problem, act, start } = useSweeps(client);
  const [chosen, setChosen] = useState<string | null>(null);
  const [making, setMaking] = useState(choice !== null);
  useEffect(() => { if (choice !== null) setMaking(true); }, [choice]);
  const line = lines?.find((l) => l.id === chosen) ?? lines?.[0] ?? null;
  const view = useResults(client, line);

  return (
    <main className="ablation">
      <div className="insilico-side">
        {making || lines?.length === 0
          ? <NewSweep client={client} choice={choice} mayOperate={mayOperate} onFit={onFit} onCancel={lines?.length === 0 ? null : () => setMaking(false)} onStart={async (args) => {
              const id = await start(args);
              if (id === null) return;
              setMaking(false);
              setChosen(id);
            }} />
          : <ActButton className="wide" data-testid="new-sweep" disabled={!mayOperate} onClick={() => setMaking(true)}>New ablation</ActButton>}
        {problem === null ? null : <p className="fault" role="alert"><LevelMark level="fault" /> {problem}</p>}
        <Panel name="sweeps" title="Ablations">
          <ol className="sweep-list">
            {lines?.map((l) => <SweepRow key={l.id} line={l} on={l.id === line?.id} mayOperate={mayOperate} onChoose={() => setChosen(l.id)} act={act} />)}
          </ol>
          {lines === null || lines.length > 0 ? null : <p className="empty">None yet. The built-in networks need nothing else: start one above.</p>}
        </Panel>
      </div>
      {line === null ? <Panel name="gallery" title="Images"><p className="empty">Images of ablated units come here.</p></Panel> : <Results client={client} line={line} view={view} mayOperate={mayOperate} />}
    </main>
  );
}

/** Largest side of a picture in the gallery: few strengths make no larger ones than many, so that the three rows fit the panel. */
const cellSide = "min(130px, 12vh)";

const stateWords: Readonly<Record<SweepLine["state"], string>> = { running: "running", paused: "paused", stopped: "stopped", finished: "", failed: "failed" };

type Act = (deed: "pause" | "resume" | "stop", id: string) => void;

function SweepRow({ line, on, mayOperate, onChoose, act }: { readonly line: SweepLine; readonly on: boolean; readonly mayOperate: boolean; readonly onChoose: () => void; readonly act: Act }) {
  const going = line.state === "running" || line.state === "paused";
  return (
    <li data-testid="sweep-row" data-state={line.state}>
      <button type="button" className={on ? "sweep on" : "sweep"} aria-pressed={on} onClick={onChoose}>
        <LevelMark level={line.state === "failed" ? "fault" : line.state === "finished" ? "ok" : line.state === "running" ? "ok" : "off"} />
        <span className="main"><b>{line.title}</b><span className="quiet">{line.startedUtc.slice(0, 16).replace("T", " ")}{stateWords[line.state] === "" ? "" : `, ${stateWords[line.state]}`}{line.state === "failed" ? `: ${line.message}` : ""}</span></span>
        <span className="share">{line.state === "finished" ? "" : `${Math.floor(line.share * 100)} %`}</span>
      </button>
      {line.state === "finished" ? null : (
        <div className="going">
          <div className="bar"><i style={{ transform: `scaleX(${line.share})` }} /></div>
          <span className="quiet">{going ? line.message : ""}{remainingWords(line) === "" ? "" : `, ${remainingWords(line)}`}</span>
          <span className="acts">
            {line.state === "running" ? <ActButton className="chip" data-testid="sweep-pause" disabled={!mayOperate} onClick={() => act("pause", line.id)}>Pause</ActButton> : <ActButton className="chip" data-testid="sweep-resume" disabled={!mayOperate} onClick={() => act("resume", line.id)}>Resume</ActButton>}
            {going ? <ActButton className="chip stop" data-testid="sweep-stop" disabled={!mayOperate} onClick={() => act("stop", line.id)}>Stop</ActButton> : null}
          </span>
        </div>
      )}
    </li>
  );
}

function Results({ client, line, view, mayOperate }: { readonly client: EngineClient; readonly line: SweepLine; readonly view: SweepView | null; readonly mayOperate: boolean }) {
  const [unit, setUnit] = useState<string | null>(null);
  const [generator, setGenerator] = useState<string | null>(null);
  const [at, setAt] = useState<At | null>(null);
  const [open, setOpen] = useState<At | null>(null);
  const there = useMemo(() => new Set(view?.runs.map((run) => run.unit) ?? []), [view]);
  const units = line.units;
  const shownUnit = units.find((u) => u.id === unit) ?? units.find((u) => there.has(u.id)) ?? units[0];
  const shownGenerator = generator !== null && view?.settings.generators.includes(generator) === true ? generator : (view?.settings.generators[0] ?? "");
  const gallery = useMemo(() => (view === null || shownUnit === undefined ? null : galleryOf(view, shownUnit.id, shownGenerator)), [view, shownUnit, shownGenerator]);
  const runsAt = (place: At | null): readonly SweepRun[] => (gallery === null || place === null ? [] : place.alpha === 0 ? gallery.control : (gallery.rows.find((row) => row.sign === place.sign)?.cells.find((cell) => cell.alpha === place.alpha)?.runs ?? []));
  const focus = runsAt(at)[0] ?? gallery?.control[0] ?? null;
  const curves = view?.curves.filter((curve) => curve.network === shownUnit?.network) ?? [];
  const best = gallery === null ? [] : bestOfEach(gallery);
  const queue = useQueue(client, line.id);

  return (
    <div className="results">
      <Panel
        name="gallery" title={shownUnit === undefined ? line.title : shownUnit.title}
        aside={
          <span className="gallery-aside">
            {(view?.settings.generators.length ?? 0) > 1 ? view?.settings.generators.map((g) => <ActButton key={g} className={g === shownGenerator ? "chip on" : "chip"} onClick={() => setGenerator(g)}>{g}</ActButton>) : <span className="quiet">{shownUnit?.network}, images of {shownGenerator}</span>}
            {best.length === 0 ? null : <ActButton className="chip" data-testid="queue-best" disabled={!mayOperate || queue.busy} title="The running session shows them in its next validation or image step" onClick={() => void queue.send(best)}>Send best of each to the stimulus queue ({best.length})</ActButton>}
          </span>
        }
      >
        {units.length < 2 ? null : <div className="unit-tabs" role="tablist" aria-label="Units">{units.map((u) => <button key={u.id} type="button" role="tab" aria-selected={u.id === shownUnit?.id} className={u.id === shownUnit?.id ? "chip on" : "chip"} disabled={!there.has(u.id)} onClick={() => setUnit(u.id)}>{units.some((other) => other !== u && other.title === u.title) ? `${u.title} · ${u.network}` : u.title}</button>)}</div>}
        {gallery === null ? <p className="empty">{line.state === "running" ? "The first images come when their evolution is done." : "Reading the images"}</p> : (
          <div className="gallery-frame" onMouseLeave={() => setAt(null)}>
            <div className="gallery-grid" style={{ gridTemplateColumns: `118px repeat(${gallery.alphas.length}, minmax(0, ${cellSide}))` }}>
              <span className="corner quiet">α</span>
              {gallery.alphas.map((alpha) => <span key={alpha} className={at?.alpha === alpha ? "alpha on" : "alpha"}>{alpha}</span>)}
              {gallery.rows.filter((row) => row.sign === "positive").map((row) => <GalleryRow key={row.sign} {...{ client, line, row, at, setAt, setOpen }} />)}
              <span className="row-name control">intact</span>
              <div className="control-row" style={{ gridColumn: `2 / ${gallery.alphas.length + 2}`, gridAutoColumns: `calc((100% - ${6 * (gallery.alphas.length - 1)}px) / ${gallery.alphas.length})` }}>
                {gallery.control.length === 0 ? <span className="cell waiting" /> : gallery.control.slice(0, gallery.alphas.length).map((run, i) => <Cell key={run.run} {...{ client, line, run }} on={false} note={i === 0 ? "best run" : `run ${run.run + 1}`} onEnter={() => setAt({ sign: "positive", alpha: 0 })} onOpen={() => setOpen({ sign: "positive", alpha: 0 })} />)}
              </div>
              {gallery.rows.filter((row) => row.sign === "negative").map((row) => <GalleryRow key={row.sign} {...{ client, line, row, at, setAt, setOpen }} />)}
            </div>
            <Focus client={client} line={line} run={focus} control={gallery.control[0] ?? null} runs={runsAt(at).length || gallery.control.length} />
          </div>
        )}
        {queue.said === null ? null : <p className={queue.said.isFault ? "fault queue-said" : "queue-said"} role={queue.said.isFault ? "alert" : "status"} data-testid="queue-said"><LevelMark level={queue.said.isFault ? "fault" : "ok"} /> {queue.said.text}</p>}
      </Panel>
      <Panel name="curves" title="Measures" aside={<span className="curve-key"><i className="series-control" /> intact <i className="series-positive" /> without positive <i className="series-negative" /> without negative weights; shaded: 95 % interval over {curves[0]?.over ?? "runs"}</span>}>
        <div className="curves">
          {curves.map((curve) => <figure key={curve.id}><figcaption>{curve.title} <span className="quiet">{curve.axis}</span></figcaption><Curve curve={curve} at={at} /></figure>)}
          {curves.length === 0 ? <p className="empty">Curves come with the first images.</p> : null}
        </div>
        {view === null ? null : <p className="quiet path" title={view.command}>{view.report === null ? "" : `Report: ${view.report}. `}{view.missing.join(" ")}</p>}
      </Panel>
      {open === null || gallery === null ? null : (
        <Dialog wide title={`${shownUnit?.title ?? ""}, ${conditionWords(open.sign, open.alpha)}: all runs`} onClose={() => setOpen(null)} testid="runs-dialog">
          <div className="dialog-buttons"><ActButton data-testid="queue-runs" disabled={!mayOperate || queue.busy || runsAt(open).length === 0} onClick={() => void queue.send(runsAt(open)).then(() => setOpen(null))}>Send {runsAt(open).length === 1 ? "this image" : `these ${runsAt(open).length}`} to the stimulus queue</ActButton></div>
          <div className="all-runs">{runsAt(open).map((run) => <Cell key={run.run} {...{ client, line, run }} on={false} note={`run ${run.run + 1}`} large />)}</div>
        </Dialog>
      )}
    </div>
  );
}

/** Sends evolved images to the running session, and says what came of it. */
function useQueue(client: EngineClient, id: string) {
  const [busy, setBusy] = useState(false);
  const [said, setSaid] = useState<{ readonly text: string; readonly isFault: boolean } | null>(null);
  useEffect(() => setSaid(null), [id]);
  const send = async (runs: readonly SweepRun[]): Promise<void> => {
    setBusy(true);
    const answer = await client.call("session.queueImages", { images: runs.map((run) => queuedImageOf(id, run)) });
    setBusy(false);
    setSaid(answer.ok ? { text: `${answer.value.queued} ${answer.value.queued === 1 ? "image waits" : "images wait"} in the stimulus queue. The next validation or image step shows them.`, isFault: false } : { text: answer.error.message, isFault: true });
  };
  return { busy, said, send };
}

interface RowProps {
  readonly client: EngineClient;
  readonly line: SweepLine;
  readonly row: { readonly sign: Sign; readonly cells: readonly { readonly alpha: number; readonly runs: readonly SweepRun[] }[] };
  readonly at: At | null;
  readonly setAt: (at: At) => void;
  readonly setOpen: (at: At) => void;
}

function GalleryRow({ client, line, row, at, setAt, setOpen }: RowProps) {
  return (
    <>
      <span className={`row-name ${row.sign}`}>without {row.sign}</span>
      {row.cells.map(({ alpha, runs }) => {
        const [best] = runs;
        const place = { sign: row.sign, alpha };
        return best === undefined
          ? <span key={alpha} className="cell waiting" />
          : <Cell key={alpha} {...{ client, line }} run={best} on={at?.sign === row.sign && at.alpha === alpha} note={runs.length > 1 ? `best of ${runs.length}` : ""} onEnter={() => setAt(place)} onOpen={() => setOpen(place)} />;
      })}
    </>
  );
}

function Cell({ client, line, run, on, note, large = false, onEnter, onOpen }: { readonly client: EngineClient; readonly line: SweepLine; readonly run: SweepRun; readonly on: boolean; readonly note: string; readonly large?: boolean; readonly onEnter?: () => void; readonly onOpen?: () => void }) {
  const url = useSweepImage(client, line.id, run);
  const words = `${conditionWords(run.sign, run.alpha)}, run ${run.run + 1}, activation ${numberWords(run.activation)}`;
  return (
    <button type="button" className={on ? "cell on" : large ? "cell large" : "cell"} data-testid="sweep-cell" aria-label={words} onMouseEnter={onEnter} onFocus={onEnter} onClick={onOpen}>
      {url === null ? <span className="image-wait" /> : <img src={url} alt="" draggable={false} />}
      <span className="value">{numberWords(run.activation)}</span>
      {large ? <span className="quiet">{note}, intact unit {numberWords(run.intactActivation)}{run.objectEnergy === null ? "" : `, object energy ${numberWords(run.objectEnergy)}`}</span> : note === "" ? null : <span className="note quiet">{note}</span>}
    </button>
  );
}

/** The image under the pointer, large, with what was measured on it. */
function Focus({ client, line, run, control, runs }: { readonly client: EngineClient; readonly line: SweepLine; readonly run: SweepRun | null; readonly control: SweepRun | null; readonly runs: number }) {
  const url = useSweepImage(client, line.id, run);
  if (run === null) return <aside className="focus" />;
  const facts: readonly (readonly [string, number | null, number | null])[] = [
    ["Activation", run.activation, control?.activation ?? null], ["Of the intact unit", run.intactActivation, control?.intactActivation ?? null], ["Object energy", run.objectEnergy, control?.objectEnergy ?? null], ["Objectness", run.objectness, control?.objectness ?? null],
  ];
  return (
    <aside className="focus" data-testid="sweep-focus">
      {url === null ? <span className="image-wait" /> : <img src={url} alt={conditionWords(run.sign, run.alpha)} draggable={false} />}
      <div className="focus-words">
        <b>{run.alpha === 0 ? "Intact unit" : conditionWords(run.sign, run.alpha)}</b>
        <span className="quiet">Best of {runs} {runs === 1 ? "run" : "runs"}</span>
        <dl className="facts">{facts.filter(([, value]) => value !== null).map(([name, value, base]) => <div key={name}><dt>{name}</dt><dd>{numberWords(value)}{run.alpha === 0 || base === null ? "" : <span className="quiet"> of {numberWords(base)}</span>}</dd></div>)}</dl>
      </div>
    </aside>
  );
}

interface NewSweepProps {
  readonly client: EngineClient;
  readonly choice: UnitChoice | null;
  readonly mayOperate: boolean;
  readonly onFit: () => void;
  readonly onCancel: (() => void) | null;
  readonly onStart: (args: MethodInput<"insilico.start">) => Promise<void>;
}

function NewSweep({ client, choice, mayOperate, onFit, onCancel, onStart }: NewSweepProps) {
  const app = useAnswer(client, "app.describe");
  const encoders = app?.models.filter((m) => m.kind === "encoder" && m.problem === null) ?? [];
  const generators = app?.models.filter((m) => m.kind === "generator" && m.problem === null) ?? [];
  const [from, setFrom] = useState<"classes" | "session">(choice === null ? "classes" : "session");
  const [network, setNetwork] = useState<string | null>(null);
  const [names, setNames] = useState("star");
  const [layer, setLayer] = useState<string | null>(null);
  const [generator, setGenerator] = useState<readonly string[] | null>(null);
  const [sign, setSign] = useState<"both" | Sign>("both");
  const [alphas, setAlphas] = useState("0:1:0.1");
  const [runs, setRuns] = useState<number | null>(5);
  const [generations, setGenerations] = useState<number | null>(100);
  const [population, setPopulation] = useState<number | null>(null);
  const [starting, setStarting] = useState(false);
  useEffect(() => { if (choice !== null) setFrom("session"); }, [choice]);
  const strengths = readAlphas(alphas);
  const useNetwork = network ?? usualEncoder(encoders.map((m) => m.id));
  const chosenNetwork = encoders.find((m) => m.id === useNetwork);
  const layers = chosenNetwork?.layers.filter((name) => name !== chosenNetwork.penultimate) ?? [];
  const useLayer = layer !== null && layers.includes(layer) ? layer : null;
  const useGenerators = generator ?? [usualGenerator(generators.map((m) => m.id))].filter((id) => id !== "");
  const whole = (value: number | null, most: number): boolean => value !== null && Number.isInteger(value) && value >= 1 && value <= most;
  const fine = strengths !== null && whole(runs, 100) && whole(generations, 1000) && (population === null || (Number.isInteger(population) && population >= 4 && population <= 400)) && useGenerators.length > 0 && (from === "session" ? choice !== null : useNetwork !== "");
  return (
    <Panel name="new-sweep" title="New ablation" aside={onCancel === null ? undefined : <ActButton className="chip" onClick={onCancel}>Cancel</ActButton>}>
      <form onSubmit={(event) => {
        event.preventDefault();
        if (!fine || !mayOperate || starting) return;
        setStarting(true);
        const list = names.split(",").map((name) => name.trim()).filter((name) => name !== "" && name !== "all");
        const units = from === "session" && choice !== null ? { from: "session" as const, file: choice.file, names: [...choice.names] } : { from: "classes" as const, network: useNetwork, names: list, layer: useLayer };
        void onStart({ units, signs: sign === "both" ? ["positive", "negative"] : [sign], alphas: [...(strengths ?? [])], generators: [...useGenerators], runs: runs ?? 1, generations: generations ?? 1, population }).finally(() => setStarting(false));
      }}>
        <ChoiceField label="Units" testid="sweep-from" value={from} choices={[{ value: "classes", label: "Classes of a network" }, { value: "session", label: choice === null ? "Neuron model (fit a session first)" : `Neuron ${choice.names.join(", ")}` }]} onChange={(value) => {
          if (value === "session" && choice === null) onFit();
          else setFrom(value === "session" ? "session" : "classes");
        }} />
        {from === "classes" ? <ChoiceField label="Network" testid="sweep-network" value={useNetwork} choices={encoders.map((m) => ({ value: m.id, label: m.title }))} onChange={setNetwork} /> : null}
        {from === "classes" ? <TextField label="Classes" testid="sweep-units" value={names} placeholder="all" onChange={setNames} /> : null}
        {from === "classes" ? <ChoiceField label="Remove at" testid="sweep-layer" hint="At another layer than the last weights, what is removed follows the sign of the class's gradient, averaged over the reference images; the rest of the network computes on." value={useLayer ?? ""} choices={[{ value: "", label: `the last weights${chosenNetwork?.penultimate == null ? "" : ` (on ${chosenNetwork.penultimate})`}` }, ...layers.toReversed().map((name) => ({ value: name, label: `${name}, by the sign of the gradient` }))]} onChange={(value) => setLayer(value === "" ? null : value)} /> : null}
        <div className="field" role="group" aria-label="Generators">
          <span className="label">{useGenerators.length > 1 ? "Generators" : "Generator"}</span>
          <div className="chips">{generators.map((m) => {
            const on = useGenerators.includes(m.id);
            return <button key={m.id} type="button" className={on ? "chip on" : "chip"} aria-pressed={on} data-testid={`sweep-generator-${m.id}`} title={m.detail} onClick={() => setGenerator(on ? useGenerators.filter((id) => id !== m.id) : [...useGenerators, m.id])}>{m.title}</button>;
          })}</div>
          {useGenerators.length > 0 ? null : <em role="alert">▲ choose one or more</em>}
        </div>
        <ChoiceField label="Weights to remove" testid="sweep-sign" value={sign} choices={[{ value: "both", label: "positive, and negative" }, { value: "positive", label: "positive alone" }, { value: "negative", label: "negative alone" }]} onChange={(value) => setSign(value === "positive" || value === "negative" ? value : "both")} />
        <TextField label="Strengths α" testid="sweep-alphas" value={alphas} placeholder="0:1:0.1" problem={strengths === null ? "first:last:step or a list, from 0 to 1" : null} onChange={setAlphas} />
        <div className="pair">
          <NumberField label="Runs" testid="sweep-runs" value={runs} problem={whole(runs, 100) ? null : "1 to 100"} onChange={setRuns} />
          <NumberField label="Generations" testid="sweep-generations" value={generations} problem={whole(generations, 1000) ? null : "1 to 1000"} onChange={setGenerations} />
        </div>
        <NumberField label="Population" testid="sweep-population" value={population} nullWord="as the optimizer" onChange={setPopulation} />
        <button type="submit" className="primary wide" data-testid="sweep-start" disabled={!fine || !mayOperate || starting}>{starting ? "Starting" : "Start"}</button>
      </form>
    </Panel>
  );
}

function useSweeps(client: EngineClient) {
  const [lines, setLines] = useState<readonly SweepLine[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const reload = useCallback(() => {
    void client.call("insilico.list", {}).then((answer) => {
      if (answer.ok) setLines(answer.value);
      else setProblem(answer.error.message);
    });
  }, [client]);
  useEffect(reload, [reload]);
  useEffect(() => client.on("insilico", (line) => setLines((old) => {
    if (old === null) return old;
    return old.some((l) => l.id === line.id) ? old.map((l) => (l.id === line.id ? line : l)) : [line, ...old];
  })), [client]);
  const act = useCallback<Act>((deed, id) => {
    setProblem(null);
    void client.call(`insilico.${deed}`, { id }).then((answer) => {
      if (!answer.ok) setProblem(answer.error.message);
    });
  }, [client]);
  const start = useCallback(async (args: MethodInput<"insilico.start">): Promise<string | null> => {
    setProblem(null);
    const answer = await client.call("insilico.start", args);
    if (answer.ok) return answer.value.id;
    setProblem(answer.error.message);
    return null;
  }, [client]);
  return { lines, problem, act, start };
}

/** Results anew whenever a group is done or the sweep ends. */
function useResults(client: EngineClient, line: SweepLine | null): SweepView | null {
  const [view, setView] = useState<SweepView | null>(null);
  const id = line?.id ?? null;
  const stage = line === null ? "" : `${line.groupsDone}/${line.state === "finished"}`;
  useEffect(() => {
    if (id === null) return setView(null);
    let over = false;
    void client.call("insilico.results", { id }).then((answer) => {
      if (!over && answer.ok) setView(answer.value);
    });
    return () => void (over = true);
  }, [client, id, stage]);
  return view !== null && view.line.id === id ? view : null;
}

/** Object URLs of images, kept for as long as the window lives: an evolved image never changes. */
const urls = new Map<string, string | Promise<string | null>>();

function useSweepImage(client: EngineClient, id: string, run: SweepRun | null): string | null {
  const key = run === null ? null : [id, run.unit, run.generator, run.run, run.alpha === 0 ? "" : run.sign, run.alpha].join("\n");
  const [, setTick] = useState(0);
  const wanted = useRef(key);
  wanted.current = key;
  const held = key === null ? undefined : urls.get(key);
  useEffect(() => {
    if (key === null || run === null || typeof urls.get(key) === "string") return;
    const asked = urls.get(key) ?? client.call("insilico.image", { id, unit: run.unit, generator: run.generator, run: run.run, sign: run.sign, alpha: run.alpha }).then((answer) => {
      if (!answer.ok) {
        urls.delete(key);
        return null;
      }
      const binary = atob(answer.value.pngBase64);
      const bytes = new Uint8Array(binary.length);
      for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
      const url = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
      urls.set(key, url);
      return url;
    });
    if (!urls.has(key)) urls.set(key, asked as Promise<string | null>);
    void Promise.resolve(asked).then(() => { if (wanted.current === key) setTick((tick) => tick + 1); });
  }, [client, id, key, run]);
  return typeof held === "string" ? held : null;
}
