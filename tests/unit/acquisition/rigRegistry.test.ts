import { describe, expect, it } from "vitest";
import { openSource, rigRegistry } from "../../../src/acquisition/index.ts";
import { aVirtualClock } from "./aRig.ts";

const world = { clock: aVirtualClock(), seed: 1, encoder: null };

describe("the rig registry", () => {
  it("opens every kind with its defaults, and describes every setting", () => {
    for (const rig of rigRegistry) {
      expect(openSource(rig.kind, {}, world)).toMatchObject({ ok: true });
      expect(openSource(rig.kind, undefined, world)).toMatchObject({ ok: true });
      expect(rig.optionSpecs.length).toBeGreaterThan(3);
      for (const option of rig.optionSpecs) {
        expect(option.description, `${rig.kind} ${option.name}`).toMatch(/^[A-Z].*\.$/);
        if (/(Ms|Hz|Ppm|Deg)$/.test(option.name)) expect(option.unit, `${rig.kind} ${option.name}`).not.toBe("");
        // A default is a value that the rig takes.
        expect(openSource(rig.kind, { [option.name]: option.default }, world), `${rig.kind} ${option.name}`).toMatchObject({ ok: true });
      }
      expect(rig.shortestTransportMs({})).toMatchObject({ ok: true });
    }
  });

  it("says what is wrong with a setting, and which rigs there are", () => {
    expect(openSource("open-ephys", { dataPort: 99_999 }, world)).toMatchObject({ ok: false, error: { code: "rigOptions", message: expect.stringContaining("dataPort") } });
    expect(openSource("open-ephys", { dataPrt: 5556 }, world)).toMatchObject({ ok: false, error: { message: expect.stringContaining("dataPrt") } });
    expect(openSource("openephys", {}, world)).toMatchObject({ ok: false, error: { code: "unknownRig", message: expect.stringContaining("synthetic, intan, open-ephys") } });
  });
});
