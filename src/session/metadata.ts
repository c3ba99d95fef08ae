// What an archive will ask for, checked before the recording and not after it. Sources: the DANDI requirements for subjects and
// names, and the checks of NWBInspector. Knows nothing about files.
import type { SessionInfo, SubjectInfo } from "../shared/records.ts";
import type { Fault } from "../shared/result.ts";

/** What is known of a session before it starts; only the subject is needed. */
export type MetadataToCheck = { readonly subject: SubjectInfo } & Partial<Omit<SessionInfo, "subject">>;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** ISO 8601 duration with at least one part, whole numbers or decimals, optionally a range "P1Y/P2Y". */
const duration = /^P(?!$)(\d+(\.\d+)?Y)?(\d+(\.\d+)?M)?(\d+(\.\d+)?W)?(\d+(\.\d+)?D)?(T(?=\d)(\d+(\.\d+)?H)?(\d+(\.\d+)?M)?(\d+(\.\d+)?S)?)?$/;
const latinName = /^[A-Z][a-z]+ [a-z]+$/;
const taxonomy = /^http:\/\/purl\.obolibrary\.org\/obo\/NCBITaxon_\d+$/;

/**
 * Everything that an archive would refuse or complain about, as codes and sentences; empty where all is well. A fault here need not
 * stop a recording, but cannot be mended by looking at the data afterwards.
 */
export function checkMetadata(info: MetadataToCheck): Fault[] {
  const faults: Fault[] = [];
  const add = (code: string, message: string): void => void faults.push({ code, message });
  const { subject } = info;
  if (subject.id.trim() === "") add("subjectId", "Expected a subject id; it is empty. Archives name files after it.");
  else if (!/^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(subject.id)) add("subjectId", `Expected a subject id of letters, digits, - and _ that starts with a letter or digit, got "${subject.id}".`);
  if (!latinName.test(subject.species) && !taxonomy.test(subject.species)) {
    add("subjectSpecies", `Expected a species as its Latin name of two words, such as "Macaca mulatta", got "${subject.species}".`);
  }
  if (!["M", "F", "O", "U"].includes(subject.sex)) add("subjectSex", `Expected sex M, F, O (other) or U (unknown), got "${subject.sex}".`);
  if (subject.age === null && subject.dateOfBirth === null) add("subjectAge", "Expected an age (an ISO 8601 duration such as P7Y or P7Y3M) or a date of birth; neither is given.");
  if (subject.age !== null && !subject.age.split("/").every((part) => duration.test(part))) {
    add("subjectAge", `Expected an age as an ISO 8601 duration such as P7Y or P7Y3M, got "${subject.age}".`);
  }
  if (subject.dateOfBirth !== null) {
    if (!isDate(subject.dateOfBirth)) add("subjectDateOfBirth", `Expected a date of birth such as 2016-04-30, got "${subject.dateOfBirth}".`);
    else if (info.startedUtc !== undefined && Date.parse(subject.dateOfBirth) > Date.parse(info.startedUtc)) {
      add("subjectDateOfBirth", `Expected a date of birth before the session, got ${subject.dateOfBirth}.`);
    }
  }
  if (subject.weightKg !== null && !(subject.weightKg > 0 && subject.weightKg < 1000)) add("subjectWeight", `Expected a weight in kg above 0, got ${subject.weightKg}.`);
  if (info.id !== undefined && !uuid.test(info.id)) add("sessionId", `Expected a UUID as session id, got "${info.id}".`);
  if (info.startedUtc !== undefined && !isInstant(info.startedUtc)) add("sessionStart", `Expected a start time with a zone, such as 2025-11-22T13:45:00Z, got "${info.startedUtc}".`);
  if (info.description !== undefined && info.description.trim() === "") add("sessionDescription", "Expected one sentence that describes the session; it is empty.");
  if (info.experimenters !== undefined) {
    for (const name of info.experimenters) {
      if (!/^\S.*, \S/.test(name)) add("experimenter", `Expected experimenters as "Family name, Given name", got "${name}".`);
    }
  }
  return faults;
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

function isInstant(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})$/.test(text) && !Number.isNaN(Date.parse(text));
}

/** Name parts may hold letters and digits only. */
function namePart(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9]+/g, "");
}

/** Folder and name of a session's NWB file as DANDI organizes them: `sub-<id>/sub-<id>_ses-<id>_behavior+ecephys+image.nwb`. */
export function dandiPath(info: Pick<SessionInfo, "subject" | "startedUtc">): { readonly folder: string; readonly name: string } {
  const subject = namePart(info.subject.id) || "unknown";
  const session = namePart(new Date(info.startedUtc).toISOString().slice(0, 19));
  return { folder: `sub-${subject}`, name: `sub-${subject}_ses-${session}_behavior+ecephys+image.nwb` };
}
