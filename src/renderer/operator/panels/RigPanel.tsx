// Everything that can fail, with its figure and its age. Knows nothing about drivers.
import { memo } from "react";
import { formatAge } from "../format.ts";
import { LevelMark, Panel } from "../parts.tsx";
import { useUi, useUiPaced } from "../store.ts";
import type { Device } from "../../../shared/contract/index.ts";
import { phaseOf, type UiState } from "../uiState.ts";

const none: readonly Device[] = [];
const selectDevices = (s: UiState): readonly Device[] => s.snapshot?.live?.devices ?? none;
const selectLevels = (s: UiState): string => selectDevices(s).map((d) => d.level).join();

export const RigPanel = memo(function RigPanel() {
  const devices = useUiPaced(selectDevices, 1000, selectLevels);
  // With the session the devices are let go: that they are silent then is no fault.
  const over = useUi((s) => s.file !== null || phaseOf(s) === "finished" || phaseOf(s) === "failed");
  return (
    <Panel name="rig" title={over ? "Rig, at the end" : "Rig"} age="live" aside={over ? null : <span className="quiet">what can fail, and how old its word is</span>}>
      {devices.length === 0 ? <p className="waiting">{over ? "The file does not say" : "Nothing is connected yet"}</p> : null}
      <ul className="rows">
        {devices.map((d) => (
          <li key={d.id} data-testid={`device-${d.id}`} data-level={over ? "off" : d.level} title={d.detail}>
            <LevelMark level={over ? "off" : d.level} />
            <span className="name">{d.label}</span>
            <b className={over ? "value" : `value value-${d.level}`}>{d.value}</b>
            <span className="when">{d.ageMs === null || over ? "" : formatAge(d.ageMs)}</span>
            {d.detail === "" ? null : <span className="detail">{d.detail}</span>}
          </li>
        ))}
      </ul>
    </Panel>
  );
});
