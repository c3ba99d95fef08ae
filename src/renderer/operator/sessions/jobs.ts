// Work on recorded sessions that goes on in the engine, as this window knows it. Knows nothing about what the work does.
import { useEffect, useState } from "react";
import type { EngineClient, Job } from "../../../shared/contract/index.ts";

/** Newest first. */
export function useJobs(client: EngineClient): readonly Job[] {
  const [jobs, setJobs] = useState<readonly Job[]>([]);
  useEffect(() => {
    const fetchAll = (): void => void client.call("sessions.jobs", {}).then((answer) => { if (answer.ok) setJobs(answer.value); });
    const stopEvents = client.on("job", (job) => setJobs((old) => (old.some((j) => j.id === job.id) ? old.map((j) => (j.id === job.id ? job : j)) : [job, ...old])));
    const stopLink = client.onLink((up) => { if (up) fetchAll(); });
    fetchAll();
    return () => {
      stopEvents();
      stopLink();
    };
  }, [client]);
  return jobs;
}

export interface Verification {
  readonly state: "waiting" | "identical" | "different" | "impossible";
  readonly share: number;
  readonly message: string;
}

/** The newest word on whether a session verifies; null where it was not asked or was cancelled. */
export function verificationOf(jobs: readonly Job[], file: string): Verification | null {
  for (const job of jobs) {
    if (job.kind !== "verify" || !job.files.includes(file)) continue;
    const result = job.results.find((r) => r.file === file);
    if (result !== undefined) return { state: result.ok ? "identical" : result.differs ? "different" : "impossible", share: 1, message: result.message };
    if (job.state === "waiting" || job.state === "running") return { state: "waiting", share: Math.min(1, Math.max(0, job.share * job.files.length - job.files.indexOf(file))), message: "" };
  }
  return null;
}

export const isOpen = (job: Job): boolean => job.state === "waiting" || job.state === "running";
