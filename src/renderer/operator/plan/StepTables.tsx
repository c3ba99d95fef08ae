// Tables of a report, with their units; and the whole report in a dialog. Knows nothing about protocols.
import { cellWords } from "../format.ts";
import { Dialog, Key } from "../parts.tsx";
import { useUi } from "../store.ts";
import { lookedStep, reportsOfSteps } from "../uiState.ts";
import { titleOf } from "./protocols.ts";
import type { StepReport, StepTable } from "../../../shared/contract/index.ts";

export function StepTables({ tables, rowsMax }: { readonly tables: readonly StepTable[]; readonly rowsMax: number }) {
  return tables.map((table) => (
    <section key={table.title} className="step-table">
      <h4>{table.title}</h4>
      <table>
        <thead><tr>{table.columns.map((c, i) => <th key={`${c.name}${i}`} className={isNumeric(table, i) ? "number" : ""}>{c.name}{c.unit === "" ? null : <small>{c.unit}</small>}</th>)}</tr></thead>
        <tbody>{table.rows.slice(0, rowsMax).map((row, r) => <tr key={r}>{row.map((value, i) => <td key={i} className={isNumeric(table, i) ? "number" : ""}>{cellWords(value)}</td>)}</tr>)}</tbody>
      </table>
      {table.rows.length > rowsMax ? <p className="quiet">{table.rows.length - rowsMax} more rows are in the session file and its exports.</p> : null}
    </section>
  ));
}

function isNumeric(table: StepTable, column: number): boolean {
  return table.rows.some((row) => typeof row[column] === "number") && table.rows.every((row) => typeof row[column] !== "string");
}

/** Reports of all steps that have ended, the one that is looked at first in view. */
export function ReportDialog({ onClose }: { readonly onClose: () => void }) {
  const reports = useUi(reportsOfSteps);
  const looked = useUi((s) => lookedStep(s)?.index ?? null);
  return (
    <Dialog title={reports.length === 0 ? "No step has ended yet" : reports.length === 1 ? "Report" : "Reports"} onClose={onClose} testid="report-dialog" wide>
      <div className="tall reports">
        {reports.map((report) => <Whole key={report.step} report={report} looked={report.step === looked} />)}
        {reports.length === 0 ? <p className="quiet">Every step leaves a report when it ends; it stays readable here and in the recorded session.</p> : null}
      </div>
      <p className="quiet"><Key>Esc</Key> close. The same words and tables stand in the session file.</p>
    </Dialog>
  );
}

function Whole({ report, looked }: { readonly report: StepReport; readonly looked: boolean }) {
  return (
    <section className="whole-report" data-testid={`report-${report.step + 1}`} ref={looked ? (element) => { element?.scrollIntoView({ block: "start" }); } : undefined}>
      <h4><b className="thread-number">{report.step + 1}</b>{titleOf(report)}{report.outcome === "skipped" ? <span className="caution">skipped before its end</span> : null}</h4>
      {report.sentences.map((s) => <p key={s}>{s}</p>)}
      <StepTables tables={report.tables} rowsMax={40} />
    </section>
  );
}
