// What is evolved in one step: the settings that all its evolutions share, and one card for each of them. Knows nothing about how they run.
import { useMedia } from "../hooks.ts";
import { More, roomyScreen, type Change } from "./cards.tsx";
import { addThread, removeThread, threadsMax, twinOf, withOption } from "./draft.ts";
import { ChoiceField, NumberField, OptionFields, TextField } from "./fields.tsx";
import type { AppDescription, EvolutionConfig, SessionConfig, ThreadConfig } from "../../../shared/contract/index.ts";

interface EvolutionProps {
  readonly app: AppDescription | null;
  readonly draft: SessionConfig;
  readonly base: readonly (string | number)[];
  readonly evolution: EvolutionConfig;
  readonly change: Change;
  readonly problems: Readonly<Record<string, string>>;
}

/** Options of an optimizer that the card asks for itself, since every optimizer takes them. */
const askedAbove = ["population", "stepSize"];

/** `base` leads to the evolution's settings in the draft; problems are by path below it. */
export function EvolutionForm(props: EvolutionProps) {
  const { app, draft, base, evolution, change, problems } = props;
  const { threads } = evolution;
  const encoders = modelChoices(app, "encoder");
  const at = (name: string): readonly (string | number)[] => [...base, name];
  return (
    <>
      <div className="threads" data-count={threads.length}>
        {threads.map((thread, index) => <ThreadCard key={index} {...props} thread={thread} index={index} onRemove={() => change(at("threads"), removeThread(threads, index))} />)}
      </div>
      <div className="thread-more">
        <button type="button" data-testid="add-thread" disabled={threads.length >= threadsMax} onClick={() => change(at("threads"), addThread(threads))}>+ Add an evolution</button>
        <span className="quiet">{threads.length === 1 ? "Several compare targets, generators, optimizers or image sizes in one step" : "Their images are shown mixed, in every generation"}</span>
      </div>
      <div className="fields shared">
        <NumberField label="Generations" value={evolution.generations} problem={problems["generations"]} testid="generations" onChange={(v) => change(at("generations"), v)} />
        <NumberField label="References" unit="a generation" hint="Reference images shown in every generation, to tell drift from evolution" value={evolution.referencesPerGeneration} problem={problems["referencesPerGeneration"]} onChange={(v) => change(at("referencesPerGeneration"), v)} />
        <NumberField label="Results shown again" unit="times" hint="At the end the mean of the distribution, the best image and the start are shown this often again, for a report without luck; 0 = not at all" value={evolution.confirmRepeats} problem={problems["confirmRepeats"]} testid="confirm-repeats" onChange={(v) => change(at("confirmRepeats"), v)} />
        <NumberField label="Image repeats" value={evolution.repeats} unit="times" hint="Presentations of every image in a generation" problem={problems["repeats"]} testid="image-repeats" onChange={(v) => change(at("repeats"), v)} />
      </div>
      <More folded={base[0] === "plan"} label="References, tuning, model">
        <TextField label="Reference folder" value={evolution.referenceFolder ?? ""} placeholder="built-in images" hint="A folder of PNG or JPEG files on the engine's computer" testid="reference-folder" onChange={(v) => change(at("referenceFolder"), v.trim() === "" ? null : v)} />
        <NumberField label="Tuning repeats" value={evolution.tuningRepeats} unit="times" hint="With an automatic target and no diverse set before it: presentations of every reference before the first generation" problem={problems["tuningRepeats"]} testid="tuning-repeats" onChange={(v) => change(at("tuningRepeats"), v)} />
        <NumberField label="Tries" value={evolution.attemptsMax} unit="at most" hint="An image whose presentations fail is shown again this often, then it counts as missing" problem={problems["attemptsMax"]} onChange={(v) => change(at("attemptsMax"), v)} />
        {encoders.length === 0 ? null : <ChoiceField label="Encoder" hint="What the synthetic neurons read out" value={draft.models.encoder} choices={encoders} onChange={(v) => change(["models", "encoder"], v)} />}
      </More>
    </>
  );
}

function ThreadCard(props: EvolutionProps & { readonly thread: ThreadConfig; readonly index: number; readonly onRemove: () => void }) {
  const { app, draft, base, evolution, change, problems, thread, index } = props;
  const roomy = useMedia(roomyScreen);
  const { threads } = evolution;
  const several = threads.length > 1;
  const optimizer = app?.optimizers.find((o) => o.name === thread.optimizer);
  const generator = app?.models.find((m) => m.id === thread.generator);
  const options = optimizer?.options.filter((s) => !askedAbove.includes(s.name)) ?? [];
  const steps = takesStepSize(optimizer);
  const twin = twinOf(threads, index);
  const at = (name: string): readonly (string | number)[] => [...base, "threads", index, name];
  const problem = (name: string): string | undefined => problems[`threads.${index}.${name}`];
  const id = (name: string): string => (index === 0 ? name : `${name}-${index + 1}`);
  return (
    <section className="thread" data-testid={`thread-${index + 1}`} aria-label={`Evolution ${index + 1}`}>
      {several ? <header><b className="thread-number">{index + 1}</b><span className="quiet">{twin === null ? `${generator?.title ?? thread.generator} · ${optimizer?.title ?? thread.optimizer}` : `Set up as ${twin + 1}: a repeat of it`}</span><button type="button" className="bare" data-testid={`remove-thread-${index + 1}`} aria-label={`Remove evolution ${index + 1}`} onClick={props.onRemove}>Remove</button></header> : null}
      <div className="thread-body">
        <div>
          <div className="fields thread-fields">
            <ChoiceField label="Generator" value={thread.generator} choices={modelChoices(app, "generator")} hint={generator?.description} testid={id("generator")} onChange={(v) => change(at("generator"), v)} />
            <ChoiceField
              label="Optimizer" value={thread.optimizer} choices={app?.optimizers.map((o) => ({ value: o.name, label: o.title })) ?? []} hint={optimizer?.whenToUse} testid={id("optimizer")}
              onChange={(v) => change([...base, "threads", index], { ...thread, optimizer: v, optimizerOptions: {}, initialStepSize: takesStepSize(app?.optimizers.find((o) => o.name === v)) ? thread.initialStepSize : null })}
            />
            <NumberField label="Target channel" value={thread.target === "auto" ? null : thread.target} nullWord="automatic" hint="Automatic: the channel that the references drive best and most selectively. You can change it at any time during the session." problem={problem("target")} testid={id("target")} onChange={(v) => change(at("target"), v ?? "auto")} />
            <NumberField label="Population, images" value={thread.populationSize} nullWord="automatic" hint={describeOption(optimizer, "population")} problem={problem("populationSize")} testid={id("population")} onChange={(v) => change(at("populationSize"), v)} />
            {steps ? <NumberField label="First step size" value={thread.initialStepSize} nullWord="of the generator" step={0.1} hint={describeOption(optimizer, "stepSize")} problem={problem("initialStepSize")} testid={id("step-size")} onChange={(v) => change(at("initialStepSize"), v)} /> : null}
            <NumberField label="Image size" unit="°" step={0.5} value={thread.imageSizeDeg} nullWord={`${draft.display.imageSizeDeg}`} emptyMeans={draft.display.imageSizeDeg} hint="Side of this evolution's images in degrees of visual angle; empty: the size set for the subject's screen" problem={problem("imageSizeDeg")} testid={id("image-size")} onChange={(v) => change(at("imageSizeDeg"), v)} />
          </div>
          {several ? null : <p className="hint">{optimizer?.whenToUse ?? ""}</p>}
        </div>
        {options.length === 0 ? null : (
          <details open={roomy && !several} className="thread-options">
            <summary>{Object.keys(thread.optimizerOptions).length === 0 ? "" : `${Object.keys(thread.optimizerOptions).length} set: `}Settings of {optimizer?.title ?? thread.optimizer}</summary>
            <div className="fields"><OptionFields described specs={options} values={thread.optimizerOptions} onChange={(name, value) => change(at("optimizerOptions"), withOption(thread.optimizerOptions, name, value))} /></div>
          </details>
        )}
      </div>
    </section>
  );
}

/** Also one that says nothing of its options: it chooses another by itself. */
function takesStepSize(optimizer: AppDescription["optimizers"][number] | undefined): boolean {
  return optimizer === undefined || optimizer.options.length === 0 || optimizer.options.some((s) => s.name === "stepSize");
}

function describeOption(optimizer: AppDescription["optimizers"][number] | undefined, name: string): string | undefined {
  const spec = optimizer?.options.find((s) => s.name === name);
  return spec === undefined ? undefined : `${spec.description}${spec.defaultRule === undefined ? "" : ` Automatic: ${spec.defaultRule}.`}`;
}

export function modelChoices(app: AppDescription | null, kind: string): readonly { readonly value: string; readonly label: string; readonly disabled: boolean }[] {
  return (app?.models ?? []).filter((m) => m.kind === kind).map((m) => ({ value: m.id, label: m.problem === null ? m.title : `${m.title} (cannot be used)`, disabled: m.problem !== null }));
}
