// How the evolution went, when it is over: the verdict first, then what was measured. Knows nothing about how it was judged.
import { memo } from "react";
import { ActButton, Dialog, Key, Panel } from "../parts.tsx";
import { useUi } from "../store.ts";
import { channelLabel, phaseOf, targetsOf, type UiState } from "../uiState.ts";
import type { Snapshot } from "../../../shared/contract/index.ts";

type Report = Snapshot["reports"][number];

const verdicts: Readonly<Record<Report["verdict"], { readonly mark: string; readonly word: string; readonly plain: string }>> = {
  rose: { mark: "▲", word: "It rose", plain: "The evolved images drive the neuron more than the start did, and more than chance explains." },
  unclear: { mark: "◆", word: "Not clear", plain: "What was gained is no more than the noise." },
  endedBelowStart: { mark: "▼", word: "Ended below its start", plain: "The evolved images drove the neuron less than the start did." },
  noData: { mark: "○", word: "Too few responses", plain: "Nothing can be said of this evolution." },
};

const none: readonly Report[] = [];

/** Reports that are to be shown now: after the end, not in the middle of a replay. */
export function reportsShown(s: UiState): readonly Report[] {
  const phase = phaseOf(s);
  return phase === "finished" || phase === "failed" || (phase === "review" && !s.replaying) ? (s.snapshot?.reports ?? none) : none;
}

export const ResultPanel = memo(function ResultPanel({ thread, onThread, onAll }: { readonly thread: number; readonly onThread: (thread: number) => void; readonly onAll: () => void }) {
  const reports = useUi(reportsShown);
  const report = reports.find((r) => r.thread === thread) ?? reports[0];
  if (report === undefined) return null;
  const { mark, word, plain } = verdicts[report.verdict];
  const [first = "", ...rest] = report.sentences;
  return (
    <Panel
      name="result" title="Result" age="report"
      aside={<>
        {reports.length < 2 ? null : reports.map((r) => (
          <ActButton key={r.thread} className={r.thread === report.thread ? "chip on" : "chip"} onClick={() => onThread(r.thread)} title={verdicts[r.verdict].word}>
            <span className={`verdict-${r.verdict}`}>{verdicts[r.verdict].mark}</span> {r.thread + 1}
          </ActButton>
        ))}
        <ActButton className="chip" data-testid="whole-result" onClick={onAll}>in full</ActButton>
      </>}
    >
      <div className="result" data-testid="result" data-verdict={report.verdict} data-thread={report.thread}>
        <div>
          <p className={`verdict verdict-${report.verdict}`}><i aria-hidden="true">{mark}</i>{word}</p>
          <p className="plain">{plain}</p>
        </div>
        <div className="result-words">
          <p className="first">{withoutVerdict(first)}</p>
          <ul>{rest.map((sentence) => <li key={sentence}>{sentence}</li>)}</ul>
        </div>
      </div>
    </Panel>
  );
});

/** The verdict stands beside the sentence already. */
function withoutVerdict(sentence: string): string {
  const said = /^The evolution (rose|did not rise|may have risen|ended below its start): /.exec(sentence);
  const rest = said === null ? sentence : sentence.slice(said[0].length);
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}

export function ResultDialog({ onClose }: { readonly onClose: () => void }) {
  const reports = useUi(reportsShown);
  const targets = useUi(targetsOf);
  const channels = useUi((s) => s.snapshot?.channels);
  const nameOf = (thread: number): string => channelLabel(channels?.find((c) => c.index === targets[thread]), targets[thread]);
  return (
    <Dialog title={reports.length === 1 ? `Result, ${nameOf(reports[0]?.thread ?? 0)}` : "Results"} onClose={onClose} testid="result-dialog" wide>
      {reports.map((r) => (
        <section key={r.thread} className="result in-full">
          <p className={`verdict verdict-${r.verdict}`}><i aria-hidden="true">{verdicts[r.verdict].mark}</i>{reports.length > 1 ? `${r.thread + 1} · ${nameOf(r.thread)}: ` : ""}{verdicts[r.verdict].word}</p>
          <ul className="result-words">{r.sentences.map((sentence) => <li key={sentence}>{sentence}</li>)}</ul>
        </section>
      ))}
      <p className="quiet"><Key>Esc</Key> close. Rates in the response window; the same words stand in the session file.</p>
    </Dialog>
  );
}
