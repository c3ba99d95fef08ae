// The rig screen, over the start screen: put a rig together, keep it under a name, open it without a session, see every device live, try reward and
// event codes by hand, calibrate the eye. Knows nothing about drivers.
import "../fullScreen.css";
import "./rig.css";
import { useCallback, useEffect, useRef, useState } from "react";
import { ActButton, Confirm, Key, LevelMark, Panel } from "../operator/parts.tsx";
import { Wordmark } from "../operator/Header.tsx";
import { formatAge } from "../operator/format.ts";
import { DeviceForms } from "./DeviceForms.tsx";
import { EyePanel } from "./EyePanel.tsx";
import { RatesPanel } from "./RatesPanel.tsx";
import { rigConfig, rigNameOf } from "../../shared/contract/index.ts";
import { profileOf } from "./rigView.ts";
import type { AppDescription, Device, EngineClient, EyeAction, RigConfig, RigProfileLine, RigState, SessionConfig } from "../../shared/contract/index.ts";

interface RigLinkProps {
  readonly client: EngineClient;
  readonly app: AppDescription | null;
  readonly draft: SessionConfig;
  readonly change: (path: readonly (string | number)[], value: unknown) => void;
  readonly mayOperate: boolean;
  readonly onOpenScreen: () => void;
}

/** The button in the start screen's header, and the screen behind it. */
export function RigLink(props: RigLinkProps) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <ActButton data-testid="rig-link" onClick={() => setOpen(true)}>Rig check</ActButton>
      {open ? <RigScreen {...props} onClose={() => setOpen(false)} /> : null}
    </>
  );
}

function RigScreen({ client, app, draft, change, mayOperate, onOpenScreen, onClose }: RigLinkProps & { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [rig, setRig] = useState<RigConfig>(() => rigConfig.parse(draft.rig));
  const { state, problem, opened, isOpening, open, act } = useRig(client);
  const profiles = useProfiles(client);
  const changed = opened !== null && JSON.stringify(opened) !== JSON.stringify(rig);

  useEffect(() => {
    const element = dialog.current;
    if (element !== null && !element.open) element.showModal();
    const swallow = (event: KeyboardEvent): void => {
      if (element !== null && !(event.target instanceof Node && element.contains(event.target))) event.stopImmediatePropagation();
    };
    window.addEventListener("keydown", swallow, true);
    return () => window.removeEventListener("keydown", swallow, true);
  }, []);

  const openNow = useCallback(() => void open({ rig, response: draft.response, display: draft.display, subject: draft.subject.id, folder: draft.folder, neurons: { seed: draft.seed, encoder: draft.models.encoder } }, rig), [open, rig, draft]);
  // At first the rig of the form is opened as it is.
  const first = useRef(true);
  useEffect(() => {
    if (first.current && mayOperate) openNow();
    first.current = false;
  }, [mayOperate, openNow]);

  const close = useCallback(() => {
    if (mayOperate) void client.call("rig.close", {});
    onClose();
  }, [client, mayOperate, onClose]);
  const use = useCallback(() => {
    change(["rig"], rig);
    close();
  }, [change, close, rig]);

  const onKey = (event: React.KeyboardEvent): void => {
    event.stopPropagation();
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement || event.target instanceof HTMLSelectElement || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    const calibrating = state?.calibration ?? null;
    if (key === "o") openNow();
    else if (key === "u") use();
    else if (key === "w") onOpenScreen();
    else if (key === "r") act.reward(draft.trial.rewardMs, 1);
    else if (key === "e") act.sync();
    else if (key === "t") act.display(draft.trial, rig);
    else if (key === "z") act.eye({ action: "recentre" });
    else if (calibrating !== null && event.key === " ") act.eye({ action: "take" });
    else if (calibrating !== null && event.key === "Backspace") act.eye({ action: "back" });
    else if (calibrating !== null && key === "s") act.eye({ action: "skip" });
    else return;
    event.preventDefault();
  };

  return (
    <dialog
      ref={dialog} className="full-screen rig-screen" data-testid="rig-screen" aria-label="Rig check" onKeyDown={onKey}
      onCancel={(event) => {
        // A dialog inside this one says cancel through it.
        if (event.target !== dialog.current) return;
        event.preventDefault();
        if (state?.calibration != null) act.eye({ action: "cancel" });
        else close();
      }}
    >
      <header className="top">
        <Wordmark />
        <h2>Rig check</h2>
        <Verdict state={state} problem={problem ?? act.problem} changed={changed} isOpening={isOpening} />
        <span className="grow" />
        <ActButton data-testid="rig-open" disabled={!mayOperate} className={changed || state === null ? "primary" : ""} onClick={openNow}>{state === null ? "Open the rig" : "Open again"} <Key>O</Key></ActButton>
        <ActButton data-testid="rig-screen-open" disabled={!mayOperate} onClick={onOpenScreen}>Subject's screen <Key>W</Key></ActButton>
        <ActButton data-testid="rig-use" disabled={!mayOperate} className={changed ? "" : "primary"} onClick={use}>Use this rig <Key>U</Key></ActButton>
        <ActButton data-testid="rig-close" onClick={close}>Back <Key>Esc</Key></ActButton>
      </header>
      <main>
        <div className="rig-column">
          <Profiles client={client} profiles={profiles} rig={rig} draft={draft} mayOperate={mayOperate} onLoad={(loaded) => { setRig(loaded.rig); if (loaded.onset !== undefined) change(["response"], { ...draft.response, ...loaded.onset }); }} />
          <DeviceForms app={app} rig={rig} trial={draft.trial} state={state} onChange={setRig} onGive={(pulseMs, pulses) => act.reward(pulseMs, pulses)} />
        </div>
        <div className="rig-column">
          <Panel name="rig-devices" title="Devices" since={state} aside={state === null ? <span className="quiet">closed</span> : <span className="quiet">open for {formatAge(state.openMs)}</span>}>
            <ol className="rig-devices">{(state?.devices ?? []).map((device) => <DeviceLine key={device.id} device={device} />)}</ol>
          </Panel>
          <Panel name="rig-tests" title="Try by hand">
            <div className="rig-test">
              <ActButton data-testid="rig-reward" disabled={!mayOperate || state === null} onClick={() => act.reward(draft.trial.rewardMs, 1)}>Reward {draft.trial.rewardMs} ms <Key>R</Key></ActButton>
              <TestResult test={state?.rewardTest ?? null} none="One pulse: look whether the valve opens." />
            </div>
            <div className="rig-test">
              <ActButton data-testid="rig-sync" disabled={!mayOperate || state === null || state.syncTest?.ok === null} onClick={() => act.sync()}>Sync test <Key>E</Key></ActButton>
              <SyncResult state={state} />
            </div>
            <div className="rig-test">
              <ActButton data-testid="rig-display" disabled={!mayOperate || state === null || draft.display.kind !== "window"} onClick={() => act.display(draft.trial, rig)}>Display test <Key>T</Key></ActButton>
              <span className="quiet">{draft.display.kind === "window" ? "20 s of flashes on the subject's screen, judged for this session's times." : "The session's form says: no window of Evoked's own."}</span>
            </div>
            <Marks state={state} />
          </Panel>
        </div>
        <div className="rig-column">
          <EyePanel state={state} mayOperate={mayOperate} onAct={(action) => act.eye(action)} onAccept={() => {
            const fit = state?.calibration?.fit ?? null;
            act.eye({ action: "accept" });
            // The fit goes with the rig: into the session, and into the profile when it is saved.
            if (fit !== null && rig.eye !== null) {
              const next = { ...rig, eye: { ...rig.eye, calibration: fit } };
              setRig(next);
              act.keep(next);
            }
          }} />
          <RatesPanel state={state} />
        </div>
      </main>
    </dialog>
  );
}

/** One line: green, or the reason. */
function Verdict({ state, problem, changed, isOpening }: { readonly state: RigState | null; readonly problem: string | null; readonly changed: boolean; readonly isOpening: boolean }) {
  if (isOpening) return <p className="rig-verdict off" role="status" data-testid="rig-verdict" data-level="off"><LevelMark level="off" /> Opening the rig</p>;
  if (problem !== null) return <p className="rig-verdict fault" role="alert" data-testid="rig-verdict" data-level="fault"><LevelMark level="fault" /> {problem}</p>;
  if (state === null) return <p className="rig-verdict off" data-testid="rig-verdict" data-level="off"><LevelMark level="off" /> The rig is closed</p>;
  if (changed) return <p className="rig-verdict warn" data-testid="rig-verdict" data-level="warn"><LevelMark level="warn" /> The form was changed: what is shown is the rig before. Open it again with O.</p>;
  return <p className={`rig-verdict ${state.verdict.level}`} role="status" data-testid="rig-verdict" data-level={state.verdict.level}><LevelMark level={state.verdict.level} /> {state.verdict.message}</p>;
}

function DeviceLine({ device }: { readonly device: Device }) {
  return (
    <li data-testid="rig-device" data-id={device.id} data-level={device.level}>
      <LevelMark level={device.level} />
      <span className="main"><b>{device.label}</b><span className={device.level === "fault" ? "detail fault" : "detail quiet"} title={device.detail}>{device.detail}</span></span>
      <span className="value">{device.value}</span>
      <span className={device.ageMs !== null && device.ageMs > 1000 ? "age late" : "age"}>{device.ageMs === null ? "" : device.ageMs < 1000 ? `${Math.round(device.ageMs / 10) * 10} ms` : formatAge(device.ageMs)}</span>
    </li>
  );
}

function TestResult({ test, none }: { readonly test: { readonly ok: boolean | null; readonly message: string } | null; readonly none: string }) {
  if (test === null) return <span className="quiet">{none}</span>;
  const level = test.ok === null ? "off" : test.ok ? "ok" : "fault";
  return <span className={level} role="status"><LevelMark level={level} /> {test.message}</span>;
}

/** Photodiode and words in a line each. */
function SyncResult({ state }: { readonly state: RigState | null }) {
  const test = state?.syncTest ?? null;
  if (test === null || test.parts.length === 0) return <TestResult test={test} none="Flashes the patch on the subject's screen and sends words, where the rig has them; says what came back, how late, how evenly." />;
  return <span className="rig-sync-parts" data-testid="rig-sync-parts">{test.parts.map((part) => <span key={part.what} className={part.ok ? "ok" : "fault"} role="status" data-what={part.what} data-ok={part.ok}><LevelMark level={part.ok ? "ok" : "fault"} /> {part.message}</span>)}</span>;
}

function Marks({ state }: { readonly state: RigState | null }) {
  const marks = state?.marks ?? [];
  return (
    <div className="rig-marks">
      <h3>Marks from the recording system</h3>
      {marks.length === 0 ? <p className="quiet">None yet. A photodiode's or a strobe's appear here.</p> : (
        <ol>{marks.toReversed().slice(0, 6).map((m, i) => <li key={`${m.atMs}-${i}`}><span>{formatAge(Math.max(0, (state?.openMs ?? 0) - m.atMs))} ago</span><b>{m.kind}</b><span>line {m.line} {m.state ? "up" : "down"}</span><span>{m.word === null ? "" : `word ${m.word}`}</span></li>)}</ol>
      )}
    </div>
  );
}

function Profiles(props: { readonly client: EngineClient; readonly profiles: ReturnType<typeof useProfiles>; readonly rig: RigConfig; readonly draft: SessionConfig; readonly mayOperate: boolean; readonly onLoad: (profile: { readonly rig: RigConfig; readonly onset?: { readonly onsetFrom: "auto" | "mark" | "flip"; readonly onsetTtlLine: number | null } | undefined }) => void }) {
  const { client, profiles, rig } = props;
  const [name, setName] = useState(rig.profile ?? "");
  const [notes, setNotes] = useState("");
  const [told, setTold] = useState<{ readonly level: "ok" | "fault"; readonly text: string } | null>(null);
  const [asks, setAsks] = useState<"remove" | "replace" | null>(null);
  const known = profiles.list.find((p) => p.name === name.trim());
  const load = (chosen: string): void => {
    void client.call("rigs.load", { name: chosen }).then((answer) => {
      if (!answer.ok) return setTold({ level: "fault", text: answer.error.message });
      setName(answer.value.name);
      setNotes(answer.value.notes);
      setTold(null);
      props.onLoad(answer.value);
    });
  };
  const save = (): void => {
    void client.call("rigs.save", { profile: profileOf(name.trim(), notes, rig, props.draft) }).then((answer) => {
      setTold(answer.ok ? { level: "ok", text: `Saved as ${answer.value.name}.` } : { level: "fault", text: answer.error.message });
      if (answer.ok) profiles.reload();
    });
  };
  const remove = (): void => {
    void client.call("rigs.remove", { name: name.trim() }).then((answer) => {
      setTold(answer.ok ? { level: "ok", text: `${name.trim()} was removed.` } : { level: "fault", text: answer.error.message });
      if (answer.ok) profiles.reload();
    });
  };
  return (
    <Panel name="rig-profile" title="Profile" aside={<span className="quiet">{known?.summary ?? "Not saved"}</span>}>
      <div className="rig-profile-row">
        <select aria-label="Saved rigs" data-testid="rig-profiles" value={known?.name ?? ""} onChange={(event) => { if (event.target.value !== "") load(event.target.value); }}>
          <option value="">{profiles.list.length === 0 ? "no saved rig" : "load a saved rig"}</option>
          {profiles.list.map((p: RigProfileLine) => <option key={p.name} value={p.name} disabled={p.problem !== null} title={p.problem ?? p.summary}>{p.problem === null ? p.name : `${p.name} (cannot be read)`}</option>)}
        </select>
        <input type="text" aria-label="Name of the rig" placeholder="name, e.g. Room 2" autoComplete="off" spellCheck={false} data-testid="rig-name" value={name} onChange={(event) => setName(event.target.value)} />
        <ActButton data-testid="rig-save" disabled={!props.mayOperate || name.trim() === ""} onClick={() => (known === undefined ? save() : setAsks("replace"))}>{known === undefined ? "Save" : "Save over"}</ActButton>
        <ActButton data-testid="rig-remove" disabled={!props.mayOperate || known === undefined} onClick={() => setAsks("remove")}>Remove</ActButton>
      </div>
      {asks === null ? null : (
        // The keys of the screen behind it sleep.
        <div onKeyDown={(event) => event.stopPropagation()}>
          <Confirm
            title={asks === "remove" ? `Remove the rig "${name.trim()}"?` : `Save over the rig "${name.trim()}"?`}
            text={asks === "remove" ? "Its file is removed from the folder of rigs, with its calibration and weighings. Recordings keep the rig that they were made with." : "What its file holds is replaced by what the form shows, calibration and weighings included. Recordings keep the rig that they were made with."}
            doIt={asks === "remove" ? "Remove" : "Save over"} leave="Keep it"
            onDo={() => {
              setAsks(null);
              if (asks === "remove") remove();
              else save();
            }}
            onClose={() => setAsks(null)}
          />
        </div>
      )}
      {told === null ? null : <p className={told.level} role="status" data-testid="rig-told"><LevelMark level={told.level} /> {told.text}</p>}
    </Panel>
  );
}

function useProfiles(client: EngineClient): { readonly list: readonly RigProfileLine[]; readonly reload: () => void } {
  const [list, setList] = useState<readonly RigProfileLine[]>([]);
  const reload = useCallback(() => void client.call("rigs.list", {}).then((answer) => { if (answer.ok) setList(answer.value); }), [client]);
  useEffect(reload, [reload]);
  return { list, reload };
}

interface RigActs {
  readonly problem: string | null;
  reward(pulseMs: number, pulses: number): void;
  sync(): void;
  /** Tests the display for the times of these trials, as this rig's. */
  display(trial: SessionConfig["trial"], rig: RigConfig): void;
  eye(action: EyeAction): void;
  /** The open rig is this one by now, without being opened anew. */
  keep(rig: RigConfig): void;
}

function useRig(client: EngineClient): { readonly state: RigState | null; readonly problem: string | null; readonly opened: RigConfig | null; readonly isOpening: boolean; readonly open: (args: Parameters<typeof client.call<"rig.open">>[1], rig: RigConfig) => Promise<void>; readonly act: RigActs } {
  const [state, setState] = useState<RigState | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const [opened, setOpened] = useState<RigConfig | null>(null);
  const [isOpening, setOpening] = useState(false);
  useEffect(() => client.on("rig", setState), [client]);
  useEffect(() => {
    if (said === null) return;
    const timer = setTimeout(() => setSaid(null), 8000);
    return () => clearTimeout(timer);
  }, [said]);
  const open = useCallback(async (args: Parameters<typeof client.call<"rig.open">>[1], rig: RigConfig) => {
    setProblem(null);
    setOpening(true);
    const answer = await client.call("rig.open", args);
    setOpening(false);
    setState(answer.ok ? answer.value : null);
    setProblem(answer.ok ? null : answer.error.message);
    setOpened(answer.ok ? rig : null);
  }, [client]);
  const tell = (answer: { readonly ok: true } | { readonly ok: false; readonly error: { readonly message: string } }): void => setSaid(answer.ok ? null : answer.error.message);
  return {
    state, problem, opened, isOpening, open,
    act: {
      problem: said,
      reward: (pulseMs, pulses) => void client.call("rig.reward", { pulseMs: Math.max(1, pulseMs), pulses }).then(tell),
      sync: () => void client.call("rig.sync", {}).then(tell),
      display: ({ onMs, offMs }, rig) => void client.call("display.test", { onMs, offMs, rig: rigNameOf(rig) }).then(tell),
      eye: (action) => void client.call("rig.eye", action).then(tell),
      keep: setOpened,
    },
  };
}
