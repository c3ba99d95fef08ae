// What to export, and where to; what to import, and from where. Knows nothing about formats.
import { useState } from "react";
import { formatBytes } from "../format.ts";
import { Dialog, Key } from "../parts.tsx";
import { NumberField, SwitchField, TextField } from "../start/fields.tsx";
import { exportArgs, importArgs, type Job, type MethodInput, type SessionSummary } from "../../../shared/contract/index.ts";

type Format = NonNullable<Job["results"][number]["format"]>;

const formats: readonly { readonly value: Format; readonly title: string; readonly detail: string }[] = [
  { value: "nwb", title: "NWB 2.7", detail: "one file a session, named as DANDI names files" },
  { value: "mat", title: "MATLAB", detail: "7.3, one .mat file a session" },
  { value: "csv", title: "CSV and PNG", detail: "a folder of tables, with every column explained" },
  { value: "parquet", title: "Parquet", detail: "spikes, presentations, generations and the rest, for Python and R" },
  { value: "sqlite", title: "SQLite", detail: "a whole copy of the session file" },
  { value: "images", title: "Images", detail: "PNG with a list and their latent codes" },
];

const foldersKey = "evoked.exportFolder";

export function ExportDialog({ sessions, folder, onExport, onClose }: { readonly sessions: readonly SessionSummary[]; readonly folder: string; readonly onExport: (order: MethodInput<"sessions.export">) => Promise<boolean>; readonly onClose: () => void }) {
  const [chosen, setChosen] = useState<readonly Format[]>(["nwb"]);
  const [outDir, setOutDir] = useState(() => window.localStorage.getItem(foldersKey) ?? `${folder}${folder.includes("\\") ? "\\" : "/"}exports`);
  const [overwrite, setOverwrite] = useState(false);
  const order = { files: sessions.map((s) => s.file), formats: [...chosen], outDir, overwrite };
  const ready = exportArgs.safeParse(order).success;
  const go = async (): Promise<void> => {
    if (!ready) return;
    window.localStorage.setItem(foldersKey, outDir);
    if (await onExport(order)) onClose();
  };
  return (
    <Dialog title={<>Export <span className="quiet">{sessions.length === 1 ? sessions[0]?.subject : `${sessions.length} sessions`}, {formatBytes(sessions.reduce((sum, s) => sum + s.sizeBytes, 0))}</span></>} onClose={onClose} testid="export-dialog" wide>
      <form
        className="export-form"
        onSubmit={(event) => {
          event.preventDefault();
          void go();
        }}
      >
        <div className="options-list two" role="group" aria-label="Formats">
          {formats.map((f) => (
            <label key={f.value} className={chosen.includes(f.value) ? "option on" : "option"}>
              <input type="checkbox" checked={chosen.includes(f.value)} data-testid={`format-${f.value}`} onChange={() => setChosen((old) => (old.includes(f.value) ? old.filter((v) => v !== f.value) : [...old, f.value]))} />
              <span>{f.title}<small>{f.detail}</small></span>
            </label>
          ))}
        </div>
        <TextField label="Into this folder; it is made where it does not exist" value={outDir} testid="export-folder" onChange={setOutDir} />
        <SwitchField label="Replace exports that are there already" value={overwrite} onChange={setOverwrite} />
        <p className="quiet">Every export is read back and compared with the session before it gets its name.</p>
        <div className="dialog-buttons">
          <button type="button" onClick={onClose}>Leave it <Key>Esc</Key></button>
          <button type="submit" className="primary" disabled={!ready} data-testid="export-go">Export <Key>Enter</Key></button>
        </div>
      </form>
    </Dialog>
  );
}

export function ImportDialog({ folder, onImport, onClose }: { readonly folder: string; readonly onImport: (order: MethodInput<"sessions.import">) => Promise<boolean>; readonly onClose: () => void }) {
  const [csvFile, setCsvFile] = useState("");
  const [imageFolder, setImageFolder] = useState("");
  const [subject, setSubject] = useState("");
  const [species, setSpecies] = useState("Macaca mulatta");
  const [lab, setLab] = useState("");
  const [day, setDay] = useState("");
  const [from, setFrom] = useState<number | null>(70);
  const [to, setTo] = useState<number | null>(170);
  const order = { csvFile, imageFolder, subject, species, lab, recordedUtc: day.trim() === "" ? null : day.trim(), windowStartMs: from ?? Number.NaN, windowEndMs: to ?? Number.NaN };
  const checked = importArgs.safeParse(order);
  const badDay = day.trim() !== "" && Number.isNaN(new Date(day.trim()).getTime());
  const ready = checked.success && !badDay && (to ?? 0) > (from ?? 0);
  const go = async (): Promise<void> => {
    if (ready && (await onImport(order))) onClose();
  };
  return (
    <Dialog title={<>Import <span className="quiet">another lab's evolution as a session, for the same review, fits and exports</span></>} onClose={onClose} testid="import-dialog" wide>
      <form
        className="export-form"
        onSubmit={(event) => {
          event.preventDefault();
          void go();
        }}
      >
        <TextField label="CSV of responses" value={csvFile} placeholder="one row a presentation, in the order shown" testid="import-csv" onChange={setCsvFile} />
        <TextField label="Folder of images" value={imageFolder} placeholder="PNG or JPEG" testid="import-images" onChange={setImageFolder} />
        <div className="import-fields">
          <TextField label="Subject" value={subject} problem={subject !== "" && !/^[A-Za-z0-9_-]+$/.test(subject) ? "letters, digits, - or _" : null} testid="import-subject" onChange={setSubject} />
          <TextField label="Species" value={species} onChange={setSpecies} />
          <TextField label="Lab" value={lab} onChange={setLab} />
          <TextField label="Recorded on" value={day} placeholder="2019-05-02; empty: today" problem={badDay ? "a date such as 2019-05-02" : null} onChange={setDay} />
          <NumberField label="Response from" unit="ms" step={10} value={from} onChange={setFrom} />
          <NumberField label="Response to" unit="ms" step={10} value={to} problem={(to ?? 0) > (from ?? 0) ? null : "after its start"} onChange={setTo} />
        </div>
        <p className="quiet">Columns: <code>image</code> and <code>rate_hz</code>; where known also <code>generation</code> from 0, <code>kind</code> (evolved or reference), <code>thread</code>, <code>excluded</code>, and <code>channel_…</code> with spike counts of further channels. What the CSV does not say stays empty. The session goes to {folder}.</p>
        <div className="dialog-buttons">
          <button type="button" onClick={onClose}>Leave it <Key>Esc</Key></button>
          <button type="submit" className="primary" disabled={!ready} data-testid="import-go">Import <Key>Enter</Key></button>
        </div>
      </form>
    </Dialog>
  );
}
