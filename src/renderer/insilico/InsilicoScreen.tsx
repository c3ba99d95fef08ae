// The screen of in-silico analyses, over the start screen or a running session: neuron models of recorded sessions, and ablation sweeps with their images.
// Knows nothing about files or networks.
import "../fullScreen.css";
import "./insilico.css";
import { useCallback, useEffect, useRef, useState } from "react";
import { ActButton, Key, RewardAnyway } from "../operator/parts.tsx";
import { Wordmark } from "../operator/Header.tsx";
import { Ablation } from "./Ablation.tsx";
import { Fits } from "./Fits.tsx";
import type { EngineClient } from "../../shared/contract/index.ts";

/** What the ablation side should start with. */
export interface UnitChoice {
  readonly file: string;
  readonly names: readonly string[];
}

/** The button in the start screen's header, and the screen behind it. */
export function InsilicoLink({ client, mayOperate }: { readonly client: EngineClient; readonly mayOperate: boolean }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <ActButton data-testid="insilico-link" onClick={() => setOpen(true)}>Fits & ablation</ActButton>
      {open ? <InsilicoScreen client={client} mayOperate={mayOperate} onClose={() => setOpen(false)} /> : null}
    </>
  );
}

type Tab = "fits" | "ablation";

export function InsilicoScreen({ client, mayOperate, onClose }: { readonly client: EngineClient; readonly mayOperate: boolean; readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [tab, setTab] = useState<Tab>("ablation");
  const [choice, setChoice] = useState<UnitChoice | null>(null);

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

  const ablate = useCallback((next: UnitChoice) => {
    setChoice(next);
    setTab("ablation");
  }, []);

  return (
    <dialog
      ref={dialog} className="full-screen insilico-screen" data-testid="insilico-screen" aria-label="Fits and ablation" onKeyDown={(event) => {
        // The reward's key reaches the session behind; every other key means what it means here.
        if (event.key !== "F8") event.stopPropagation();
      }}
      onCancel={(event) => {
        // A dialog inside this one says cancel through it.
        if (event.target !== dialog.current) return;
        event.preventDefault();
        onClose();
      }}
    >
      <header className="top">
        <Wordmark />
        <div className="tabs" role="tablist" aria-label="Analyses">
          <Tabs tab={tab} own="ablation" onChoose={setTab}>Ablation</Tabs>
          <Tabs tab={tab} own="fits" onChoose={setTab}>Neuron models</Tabs>
        </div>
        <span className="grow" />
        <RewardAnyway inline />
        <ActButton data-testid="insilico-close" onClick={onClose}>Back <Key>Esc</Key></ActButton>
      </header>
      {tab === "fits" ? <Fits client={client} mayOperate={mayOperate} onAblate={ablate} /> : <Ablation client={client} mayOperate={mayOperate} choice={choice} onFit={() => setTab("fits")} />}
    </dialog>
  );
}

function Tabs({ tab, own, onChoose, children }: { readonly tab: Tab; readonly own: Tab; readonly onChoose: (tab: Tab) => void; readonly children: React.ReactNode }) {
  return <button type="button" role="tab" aria-selected={tab === own} className={tab === own ? "tab on" : "tab"} data-testid={`tab-${own}`} onClick={() => onChoose(own)}>{children}</button>;
}
