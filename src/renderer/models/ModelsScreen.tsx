// The Models screen, over the start screen: what is there, what is missing for which analysis, check one, get one.
// Knows nothing about files or networks.
import "../fullScreen.css";
import "./models.css";
import { useCallback, useEffect, useRef, useState } from "react";
import { ActButton, Key, LevelMark, Panel } from "../operator/parts.tsx";
import { Wordmark } from "../operator/Header.tsx";
import { formatBytes } from "../operator/format.ts";
import { modelsInOrder, progressShare, progressWords } from "./modelsView.ts";
import type { EngineClient, Level, ModelFetch, ModelLine, ModelsOverview, ModelVerdict } from "../../shared/contract/index.ts";

/** The button in the start screen's header, and the screen behind it. */
export function ModelsLink({ client, mayOperate }: { readonly client: EngineClient; readonly mayOperate: boolean }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <ActButton data-testid="models-link" onClick={() => setOpen(true)}>Models</ActButton>
      {open ? <ModelsScreen client={client} mayOperate={mayOperate} onClose={() => setOpen(false)} /> : null}
    </>
  );
}

function ModelsScreen({ client, mayOperate, onClose }: { readonly client: EngineClient; readonly mayOperate: boolean; readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const { overview, problem, reload } = useOverview(client);
  const { fetching, begin, stop } = useFetching(client, reload);
  const [verdicts, setVerdicts] = useState<Readonly<Record<string, ModelVerdict | "checking">>>({});
  const [chosen, setChosen] = useState<string | null>(null);

  useEffect(() => {
    const element = dialog.current;
    if (element !== null && !element.open) element.showModal();
    // Keys mean what they mean on this screen alone: Enter must not start a session behind it.
    const swallow = (event: KeyboardEvent): void => {
      if (element !== null && !(event.target instanceof Node && element.contains(event.target))) event.stopImmediatePropagation();
    };
    window.addEventListener("keydown", swallow, true);
    return () => window.removeEventListener("keydown", swallow, true);
  }, []);

  const verify = useCallback((id: string) => {
    setVerdicts((old) => ({ ...old, [id]: "checking" }));
    void client.call("models.verify", { id }).then((answer) => {
      setVerdicts((old) => ({ ...old, [id]: answer.ok ? answer.value : { id, ok: false, message: answer.error.message, left: [] } }));
      reload();
    });
  }, [client, reload]);

  const [chooseProblem, setChooseProblem] = useState<string | null>(null);
  const chooseProvider = useCallback((provider: string) => {
    void client.call("models.chooseProvider", { provider }).then((answer) => {
      setChooseProblem(answer.ok ? null : answer.error.message);
      setVerdicts({});
      reload();
    });
  }, [client, reload]);

  const models = modelsInOrder(overview?.models ?? []);
  const shown = models.find((model) => model.id === chosen) ?? models[0] ?? null;
  const ready = models.filter((model) => model.state === "builtIn" || model.state === "ready").length;
  return (
    <dialog
      ref={dialog} className="full-screen models-screen" data-testid="models-screen" aria-label="Models" onKeyDown={(event) => event.stopPropagation()}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header className="top">
        <Wordmark />
        <h2>Models</h2>
        <span className="quiet">{overview === null ? "" : `${ready} ready, ${models.length - ready} to get or mend`}</span>
        <span className="grow" />
        <ProviderChoice overview={overview} mayOperate={mayOperate} onChoose={chooseProvider} />
        {chooseProblem === null ? null : <span className="fault" role="alert">{chooseProblem}</span>}
        <ActButton data-testid="models-close" onClick={onClose}>Back <Key>Esc</Key></ActButton>
      </header>
      <main>
        <Panel name="models" title="Networks" aside={<span className="quiet">{overview?.folder ?? ""}</span>}>
          {problem === null ? null : <p className="caution">▲ {problem}</p>}
          <ol className="model-list">
            {models.map((model) => (
              <li key={model.id}>
                <button type="button" className={model.id === shown?.id ? "model on" : "model"} aria-pressed={model.id === shown?.id} data-testid="model-row" data-id={model.id} data-state={model.state} onClick={() => setChosen(model.id)}>
                  <LevelMark level={levelOf(model, verdicts[model.id])} />
                  <span className="main"><b>{model.title}</b><span className="quiet">{model.problem ?? model.purpose}</span></span>
                  <span className="kind quiet">{model.kind}</span>
                  <span className="where">{fetching?.id === model.id && fetching.message === null ? progressWords(fetching) : stateWords[model.state]}</span>
                </button>
              </li>
            ))}
          </ol>
        </Panel>
        <div className="models-side">
          {shown === null ? null : <Details model={shown} verdict={verdicts[shown.id] ?? null} fetching={fetching} mayOperate={mayOperate} onVerify={verify} onFetch={begin} onStop={stop} />}
          <Analyses overview={overview} titles={new Map(models.map((model) => [model.id, model.title]))} onChoose={setChosen} />
        </div>
      </main>
    </dialog>
  );
}

const providerNames: Readonly<Record<string, string>> = { cuda: "CUDA", tensorrt: "TensorRT", dml: "DirectML", coreml: "CoreML", webgpu: "WebGPU", cpu: "CPU" };

/** Where models run. What cannot be used here says why when a model is checked, and the CPU takes its place. */
function ProviderChoice({ overview, mayOperate, onChoose }: { readonly overview: ModelsOverview | null; readonly mayOperate: boolean; readonly onChoose: (provider: string) => void }) {
  if (overview === null || overview.providers.length === 0) return null;
  return (
    <label className="provider">
      <span className="quiet">Run on</span>
      <select value={overview.provider} data-testid="models-provider" disabled={!mayOperate} onChange={(event) => onChoose(event.target.value)}>
        <option value="auto">the best that works here</option>
        {overview.providers.map((name) => <option key={name} value={name}>{providerNames[name] ?? name}</option>)}
      </select>
    </label>
  );
}

const stateWords: Readonly<Record<ModelLine["state"], string>> = { builtIn: "built in", ready: "ready", problem: "refused", missing: "not here" };

function levelOf(model: ModelLine, verdict: ModelVerdict | "checking" | undefined): Level {
  if (verdict !== undefined && verdict !== "checking") return verdict.ok ? "ok" : "fault";
  return model.state === "problem" ? "fault" : model.state === "missing" ? "off" : "ok";
}

interface DetailsProps {
  readonly model: ModelLine;
  readonly verdict: ModelVerdict | "checking" | null;
  readonly fetching: ModelFetch | null;
  readonly mayOperate: boolean;
  readonly onVerify: (id: string) => void;
  readonly onFetch: (id: string) => void;
  readonly onStop: () => void;
}

function Details({ model, verdict, fetching, mayOperate, onVerify, onFetch, onStop }: DetailsProps) {
  const mine = fetching?.id === model.id ? fetching : null;
  const going = mine !== null && mine.message === null;
  const otherGoing = fetching !== null && fetching.message === null && mine === null;
  const usable = model.state === "builtIn" || model.state === "ready";
  const facts: readonly (readonly [string, string])[] = [
    ["For", model.purpose], ["Form", model.detail], ["Runs on", model.provider ?? (usable ? "chosen when it is loaded" : "")], ["Licence", model.licence], ["From", model.source],
  ];
  return (
    <Panel name="model" title={model.title} aside={<span className="quiet">{model.id}{model.sizeBytes === null ? "" : `, ${formatBytes(model.sizeBytes)}`}</span>}>
      <dl className="facts">{facts.filter(([, value]) => value !== "").map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      {model.problem === null ? null : <p className="fault" role="alert"><LevelMark level="fault" /> {model.problem}</p>}
      {model.howToGet === null ? null : <p className="how"><HowTo text={model.howToGet} /></p>}
      {mine === null ? null : going
        ? <div className="getting" data-testid="model-progress"><div className="bar"><i style={{ transform: `scaleX(${progressShare(mine)})` }} /></div><span className="quiet">{progressWords(mine)}</span></div>
        : <p className={mine.phase === "failed" ? "fault" : "ok"} role="status" data-testid="fetch-end"><LevelMark level={mine.phase === "failed" ? "fault" : "ok"} /> {mine.message}</p>}
      {verdict === null || verdict === "checking" ? null : <Verdict verdict={verdict} />}
      <div className="model-acts">
        {usable || model.state === "problem" ? <ActButton data-testid="model-verify" disabled={!mayOperate || verdict === "checking"} onClick={() => onVerify(model.id)}>{verdict === "checking" ? "Checking" : "Check"}</ActButton> : null}
        {model.fetchable && !going ? <ActButton className="primary" data-testid="model-fetch" disabled={!mayOperate || otherGoing} onClick={() => onFetch(model.id)}>{mine?.phase === "failed" ? "Try again" : "Get it"}</ActButton> : null}
        {going ? <ActButton className="stop" data-testid="model-stop" disabled={!mayOperate || mine.phase === "converting"} onClick={onStop}>Stop</ActButton> : null}
      </div>
    </Panel>
  );
}

function Verdict({ verdict }: { readonly verdict: ModelVerdict }) {
  return (
    <div data-testid="model-verdict">
      <p className={verdict.ok ? "ok" : "fault"} role="status"><LevelMark level={verdict.ok ? "ok" : "fault"} /> {verdict.message}</p>
      {verdict.left.length === 0 ? null : <details><summary>{verdict.left.length} execution provider{verdict.left.length === 1 ? "" : "s"} not used</summary>{verdict.left.map((reason) => <p key={reason} className="quiet">{reason}</p>)}</details>}
    </div>
  );
}

/** The command in a sentence stands in type of its own, to be copied. */
function HowTo({ text }: { readonly text: string }) {
  const parts = text.split(/((?:evoked models [^()]+?|python [^"]+)(?=$| \(|"))/);
  return <>{parts.map((part, i) => (i % 2 === 1 ? <code key={part}>{part}</code> : part))}</>;
}

const analysisLevels = { complete: "ok", standIn: "warn", missing: "off" } as const;
const analysisWords = { complete: "as published", standIn: "in part", missing: "not yet" } as const;

function Analyses({ overview, titles, onChoose }: { readonly overview: ModelsOverview | null; readonly titles: ReadonlyMap<string, string>; readonly onChoose: (id: string) => void }) {
  return (
    <Panel name="analyses" title="What the analyses need">
      <ol className="analyses">
        {overview?.analyses.map((analysis) => (
          <li key={analysis.id} data-testid="analysis-row" data-state={analysis.state}>
            <LevelMark level={analysisLevels[analysis.state]} />
            <span className="main">
              <span><b>{analysis.title}</b> <span className="quiet">{analysisWords[analysis.state]}</span></span>
              {analysis.missing.length === 0 ? null : <span className="missing">{analysis.missing.map((id) => <ActButton key={id} className="chip" onClick={() => onChoose(id)}>{titles.get(id) ?? id}</ActButton>)}</span>}
            </span>
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function useOverview(client: EngineClient): { readonly overview: ModelsOverview | null; readonly problem: string | null; readonly reload: () => void } {
  const [state, setState] = useState<{ readonly overview: ModelsOverview | null; readonly problem: string | null }>({ overview: null, problem: null });
  const reload = useCallback(() => {
    void client.call("models.list", {}).then((answer) => setState((old) => (answer.ok ? { overview: answer.value, problem: null } : { ...old, problem: answer.error.message })));
  }, [client]);
  useEffect(reload, [reload]);
  return { ...state, reload };
}

function useFetching(client: EngineClient, onEnd: () => void): { readonly fetching: ModelFetch | null; readonly begin: (id: string) => void; readonly stop: () => void } {
  const [fetching, setFetching] = useState<ModelFetch | null>(null);
  useEffect(() => client.on("modelFetch", (progress) => {
    setFetching(progress);
    if (progress.message !== null) onEnd();
  }), [client, onEnd]);
  const begin = useCallback((id: string) => {
    void client.call("models.fetch", { id }).then((answer) => {
      if (!answer.ok) setFetching({ id, phase: "failed", file: "", receivedBytes: 0, totalBytes: null, message: answer.error.message });
    });
  }, [client]);
  const stop = useCallback(() => void client.call("models.stopFetch", {}), [client]);
  return { fetching, begin, stop };
}
