import { expect, test } from "vitest";
import { planBrowser } from "../../../src/web/browser.ts";
import type { Machine } from "../../../src/web/browser.ts";

const url = "http://127.0.0.1:4747/?token=t";

function aMachine(change: Partial<Machine> & { readonly programs?: readonly string[] } = {}): Machine {
  const programs = change.programs ?? ["/usr/bin/chromium"];
  return { platform: "linux", env: { DISPLAY: ":0", PATH: "/usr/local/bin:/usr/bin" }, isRoot: false, home: "/home/ann", isProgram: (file) => programs.includes(file), realPath: (file) => file, ...change };
}

test("Chromium opens the address in a window of its own, with its own profile", () => {
  const plan = planBrowser(aMachine(), url, "operator");
  expect(plan).toMatchObject({ program: "/usr/bin/chromium", profileFolder: "/home/ann/.cache/evoked/browser", notice: null });
  expect("args" in plan && plan.args).toContain(`--app=${url}`);
  expect("args" in plan && plan.args.join(" ")).not.toContain("--no-sandbox");
});

test("the subject's screen gets a browser beside the operator's, with a profile of its own", () => {
  const mac = "/Applications/Chromium.app/Contents/MacOS/Chromium";
  const machines = [aMachine(), aMachine({ programs: ["/usr/bin/chromium-browser", "/snap/bin/chromium"] }), aMachine({ platform: "darwin", programs: [mac] })];
  for (const machine of machines) {
    const [operator, subject] = (["operator", "subject"] as const).map((windowOf) => planBrowser(machine, url, windowOf));
    expect(subject).toMatchObject({ profileFolder: expect.stringContaining("subject") as string, args: expect.arrayContaining([`--app=${url}`]) as string[] });
    expect(operator).not.toMatchObject({ profileFolder: expect.stringContaining("subject") as string });
  }
});

test("root on Linux needs --no-sandbox, and is told so", () => {
  const plan = planBrowser(aMachine({ isRoot: true }), url, "operator");
  expect("args" in plan && plan.args).toContain("--no-sandbox");
  expect("notice" in plan && plan.notice).toContain("root");
});

test("a machine without a screen opens nothing and says why", () => {
  expect(planBrowser(aMachine({ env: { PATH: "/usr/bin" } }), url, "operator")).toMatchObject({ problem: expect.stringContaining("no screen") as unknown });
});

test("a machine without a browser is told which were looked for", () => {
  expect(planBrowser(aMachine({ programs: [] }), url, "operator")).toMatchObject({ problem: expect.stringContaining("Chromium, Chrome, Edge") as unknown });
});

test("a browser packed as a snap gets a profile where it may write", () => {
  expect(planBrowser(aMachine({ programs: ["/usr/bin/chromium-browser", "/snap/bin/chromium"] }), url, "operator")).toMatchObject({ profileFolder: "/home/ann/snap/chromium/common/evoked" });
});

test("Firefox opens a new window of the browser that is there", () => {
  expect(planBrowser(aMachine({ programs: ["/usr/bin/firefox"] }), url, "operator")).toEqual({ program: "/usr/bin/firefox", args: ["--new-window", url], profileFolder: null, notice: null });
});

test("the operator's own choice comes first, on every system", () => {
  const env = { DISPLAY: ":0", PATH: "/usr/bin", EVOKED_BROWSER: "/opt/vivaldi" };
  expect(planBrowser(aMachine({ env, programs: ["/usr/bin/chromium", "/opt/vivaldi"] }), url, "operator")).toMatchObject({ program: "/opt/vivaldi" });
  const mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
  expect(planBrowser(aMachine({ platform: "darwin", programs: [mac] }), url, "operator")).toMatchObject({ program: mac });
});
