// The diverse-set screen, over the start screen: what to choose from, how far the build is, and what came out. Knows nothing about files or networks.
import "../fullScreen.css";
import "./diverseSet.css";
import { useCallback, useEffect, useRef, useState } from "react";
import { Wordmark } from "../operator/Header.tsx";
import { ActButton, Key, LevelMark, Panel } from "../operator/parts.tsx";
import { ChoiceField, NumberField, SwitchField, TextField } from "../operator/start/fields.tsx";
import type { DiverseSetLine, DiverseSetView, EngineClient, MethodInput } from "../../shared/contract/index.ts";

type Order = MethodInput<"diverseSet.build">;

/** The button in the start screen's header, and the screen behind it. */
export function DiverseSetLink({ client, mayOperate }: { readonly client: EngineClient; readonly mayOperate: boolean }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <ActButton data-testid="diverse-link" onClick={() => setOpen(true)}>Image sets</ActButton>
      {open ? <DiverseSetScreen client={client} mayOperate={mayOperate} onClose={() => setOpen(false)} /> : null}
    </>
  );
}

interface Draft {
  readonly from: "folder" | "drawn";
  readonly images: string;
  readonly drawn: number | null;
  readonly out: string;
  readonly count: number | null;
  readonly components: number | null;
  readonly encoder: string;
  readonly coverage: string;
  readonly seed: number | null;
  readonly overwrite: boolean;
}

const empty: Draft = { from: "folder", images: "", drawn: 2000, out: "", count: 160, components: 300, encoder: "", coverage: "", seed: 1, overwrite: false };

/** null where the draft is not whole: `problemOf` says what is missing. */
function orderOf(d: Draft): Order | null {
  if (problemOf(d) !== null) return null;
  return {
    images: d.from === "folder" ? d.images : null, drawn: d.drawn ?? 2000, out: d.out, count: d.count ?? 160, components: d.components ?? 300,
    encoder: d.encoder === "" ? null : d.encoder, coverage: d.coverage === "" ? null : d.coverage, seed: d.seed ?? 1, overwrite: d.overwrite,
  };
}

function problemOf(d: Draft): string | null {
  if (d.from === "folder" && d.images.trim() === "") return "Name the folder to choose from.";
  if (d.out.trim() === "") return "Name the folder to make.";
  if (![d.count, d.components, d.seed, d.drawn].every((n) => n !== null && Number.isInteger(n))) return "Expected whole numbers.";
  return d.count !== null && d.count < 2 ? "Expected at least 2 images." : null;
}

function DiverseSetScreen({ client, mayOperate, onClose }: { readonly client: EngineClient; readonly mayOperate: boolean; readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [draft, setDraft] = useState(empty);
  const [problem, setProblem] = useState<string | null>(null);
  const { line, view, open } = useBuild(client, setProblem);
  const encoders = useEncoders(client);
  const set = <K extends keyof Draft>(name: K) => (value: Draft[K]): void => setDraft((old) => ({ ...old, [name]: value }));
  const active = line !== null && (line.state === "running" || line.state === "paused");

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

  const act = (method: "diverseSet.pause" | "diverseSet.resume" | "diverseSet.stop"): void => {
    void client.call(method, {}).then((answer) => setProblem(answer.ok ? null : answer.error.message));
  };
  const build = (): void => {
    const order = orderOf(draft);
    if (order === null) setProblem(problemOf(draft));
    else void client.call("diverseSet.build", order).then((answer) => setProblem(answer.ok ? null : answer.error.message));
  };

  const networks = [{ value: "", label: "automatic" }, ...encoders.map((e) => ({ value: e.id, label: e.title }))];
  return (
    <dialog
      ref={dialog} className="full-screen diverse-screen" data-testid="diverse-screen" aria-label="Image sets" onKeyDown={(event) => event.stopPropagation()}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header className="top">
        <Wordmark />
        <h2>Image sets</h2>
        <span className="quiet">few images that cover the space of many</span>
        <span className="grow" />
        <ActButton data-testid="diverse-close" onClick={onClose}>Back <Key>Esc</Key></ActButton>
      </header>
      <main>
        <div className="diverse-side">
          <Panel name="diverse-order" title="Build a set">
            <ChoiceField label="Choose from" value={draft.from} testid="diverse-from" choices={[{ value: "folder", label: "a folder of images" }, { value: "drawn", label: "images drawn by the built-in generator" }]} onChange={(v) => set("from")(v === "drawn" ? "drawn" : "folder")} />
            {draft.from === "folder"
              ? <TextField label="Folder of images" value={draft.images} placeholder="/data/images" testid="diverse-images" note="PNG, JPEG, WebP, BMP, TIFF, GIF; the folders in it too; up to 100,000" onChange={set("images")} />
              : <NumberField label="Images drawn" value={draft.drawn} step={100} testid="diverse-drawn" onChange={set("drawn")} />}
            <TextField label="Folder to make" value={draft.out} placeholder="/data/sets/diverse-160" testid="diverse-out" onChange={set("out")} />
            <div className="pair">
              <NumberField label="Images in the set" value={draft.count} step={10} testid="diverse-count" onChange={set("count")} />
              <NumberField label="Components" value={draft.components} step={10} testid="diverse-components" hint="Principal components, or as many as there are." onChange={set("components")} />
            </div>
            <ChoiceField label="Space: output of" value={draft.encoder} testid="diverse-encoder" choices={networks} hint="AlexNet where it is installed, else a built-in network." onChange={set("encoder")} />
            <ChoiceField label="Coverage measured in" value={draft.coverage} testid="diverse-coverage" choices={[...networks, { value: "none", label: "not measured" }]} onChange={set("coverage")} />
            <div className="pair">
              <NumberField label="Seed" value={draft.seed} testid="diverse-seed" onChange={set("seed")} />
              <SwitchField label="Replace the set there" value={draft.overwrite} testid="diverse-overwrite" onChange={set("overwrite")} />
            </div>
            <div className="diverse-acts">
              <ActButton className="primary" data-testid="diverse-build" disabled={!mayOperate || active} onClick={build}>Build</ActButton>
              <ActButton data-testid="diverse-open" disabled={draft.out.trim() === ""} onClick={() => open(draft.out)}>Show the set in this folder</ActButton>
            </div>
            {problem === null ? null : <p className="fault" role="alert" data-testid="diverse-problem"><LevelMark level="fault" /> {problem}</p>}
          </Panel>
          {line === null ? null : <BuildProgress line={line} mayOperate={mayOperate} onAct={act} />}
        </div>
        <Outcome view={view} />
      </main>
    </dialog>
  );
}

const phaseWords: Readonly<Record<DiverseSetLine["phase"], string>> = {
  listing: "Looking for images", drawing: "Drawing images", embedding: "Embedding", clustering: "Components and clusters", coverage: "Coverage in the second network", writing: "Writing the set",
};
const stateWords: Readonly<Record<DiverseSetLine["state"], string>> = { running: "", paused: "held", done: "done", stopped: "stopped", failed: "failed" };
const number = (n: number): string => n.toLocaleString("en-US");

function BuildProgress({ line, mayOperate, onAct }: { readonly line: DiverseSetLine; readonly mayOperate: boolean; readonly onAct: (method: "diverseSet.pause" | "diverseSet.resume" | "diverseSet.stop") => void }) {
  const active = line.state === "running" || line.state === "paused";
  const share = line.state === "done" ? 1 : line.total === 0 ? 0 : line.done / line.total;
  return (
    <Panel name="diverse-build" title={active ? phaseWords[line.phase] : "Last build"} aside={<span className="quiet">{stateWords[line.state]}</span>}>
      <div className="bar"><i style={{ transform: `scaleX(${share})` }} /></div>
      <p className="figures" data-testid="diverse-progress" data-state={line.state}>
        {line.total > 0 ? `${number(line.done)} of ${number(line.total)}` : line.done > 0 ? `${number(line.done)} found` : ""}
        {line.unreadable === 0 ? "" : `, ${number(line.unreadable)} not readable`}
        {line.remainingS === null ? "" : `, about ${line.remainingS < 90 ? `${line.remainingS} s` : `${Math.round(line.remainingS / 60)} min`} left`}
      </p>
      {line.message === "" ? null : <p className={line.state === "failed" ? "fault" : "quiet"} role="status" data-testid="diverse-message"><LevelMark level={line.state === "failed" ? "fault" : line.state === "done" ? "ok" : "warn"} /> {line.message}</p>}
      {active
        ? <div className="diverse-acts">
            {line.state === "running" ? <ActButton data-testid="diverse-pause" disabled={!mayOperate} onClick={() => onAct("diverseSet.pause")}>Hold</ActButton> : <ActButton data-testid="diverse-resume" disabled={!mayOperate} onClick={() => onAct("diverseSet.resume")}>Go on</ActButton>}
            <ActButton className="stop" data-testid="diverse-stop" disabled={!mayOperate} onClick={() => onAct("diverseSet.stop")}>Stop</ActButton>
          </div>
        : null}
    </Panel>
  );
}

function Outcome({ view }: { readonly view: DiverseSetView | null }) {
  if (view === null) return <Panel name="diverse-set" title="The set"><p className="quiet">A set that was built, or one that is opened from its folder, shows here: all its images, the pool on the first two components, and how well it covers a second network's space.</p></Panel>;
  const { manifest: m } = view;
  const facts: readonly (readonly [string, string])[] = [
    ["From", m.source],
    ["Pool", `${number(m.used)} used of ${number(m.found)}${m.duplicates === 0 ? "" : `, ${number(m.duplicates)} doubled`}${m.unreadable === 0 ? "" : `, ${number(m.unreadable)} not readable`}`],
    ["Space", `${m.space.network}, ${m.space.layer}: ${m.space.components} components with ${(m.space.explainedVariance * 100).toFixed(1)} % of the variance`],
    ...(m.coverage === null ? [] : [[
      "Coverage", `in ${m.coverage.network} over ${number(m.coverage.images)} images, random sets in brackets: mean distance ${m.coverage.meanDistance.toPrecision(3)} (${m.coverage.random.meanDistance.toPrecision(3)}), farthest ${m.coverage.farthestDistance.toPrecision(3)} (${m.coverage.random.farthestDistance.toPrecision(3)}), regions reached ${(m.coverage.occupiedShare * 100).toFixed(0)} % (${(m.coverage.random.occupiedShare * 100).toFixed(0)} %)`,
    ] as const]),
    ["Took", `${m.wallSeconds.toFixed(1)} s, ${number(m.memoryMB)} MB`],
  ];
  return (
    <Panel name="diverse-set" title={`${m.images.length} images`} aside={<span className="quiet">{view.folder}</span>}>
      <dl className="facts" data-testid="diverse-facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      <div className="diverse-pictures">
        <img src={`data:image/png;base64,${view.sheetPngBase64}`} alt={`All ${m.images.length} images of the set`} data-testid="diverse-sheet" />
        <img src={`data:image/png;base64,${view.plotPngBase64}`} alt="Pool and chosen images on the first two components" data-testid="diverse-plot" />
      </div>
    </Panel>
  );
}

function useBuild(client: EngineClient, onProblem: (problem: string | null) => void): { readonly line: DiverseSetLine | null; readonly view: DiverseSetView | null; readonly open: (folder: string) => void } {
  const [line, setLine] = useState<DiverseSetLine | null>(null);
  const [view, setView] = useState<DiverseSetView | null>(null);
  const open = useCallback((folder: string) => {
    void client.call("diverseSet.open", { folder }).then((answer) => {
      if (answer.ok) setView(answer.value);
      onProblem(answer.ok ? null : answer.error.message);
    });
  }, [client, onProblem]);
  useEffect(() => {
    void client.call("diverseSet.status", {}).then((answer) => {
      if (!answer.ok || answer.value === null) return;
      setLine(answer.value);
      if (answer.value.state === "done") open(answer.value.args.out);
    });
    return client.on("diverseSet", (next) => {
      setLine(next);
      if (next.state === "done") open(next.args.out);
    });
  }, [client, open]);
  return { line, view, open };
}

function useEncoders(client: EngineClient): readonly { readonly id: string; readonly title: string }[] {
  const [encoders, setEncoders] = useState<readonly { readonly id: string; readonly title: string }[]>([]);
  useEffect(() => {
    void client.call("models.list", {}).then((answer) => {
      if (answer.ok) setEncoders(answer.value.models.filter((m) => m.kind === "encoder" && (m.state === "builtIn" || m.state === "ready")));
    });
  }, [client]);
  return encoders;
}
