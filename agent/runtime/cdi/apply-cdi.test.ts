import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { containerConfig, sandboxConfig } from "../contract/configs.ts";
import type { ContainerConfig } from "../runtime.ts";
import { withCdiResolved } from "./apply-cdi.ts";

const asked = containerConfig(sandboxConfig(), "i");
const config = (cdiDevices: string[]): ContainerConfig => ({
  ...asked,
  env: [
    { name: "A", value: "own" },
    { name: "B", value: "own" },
  ],
  mounts: [{ hostPath: "/x", containerPath: "/data", readOnly: true, propagation: "private" }],
  cdiDevices,
  security: { ...asked.security, supplementalGroups: [7] },
});

/** Resolves against these files, by folder and name; the later folder counts more. */
async function resolve(cdiDevices: string[], files: Readonly<Record<string, unknown>>): Promise<ContainerConfig> {
  const folders = [mkdtempSync(join(tmpdir(), "cdi-")), mkdtempSync(join(tmpdir(), "cdi-"))];
  const warnings: string[] = [];
  try {
    for (const [name, content] of Object.entries(files)) {
      const folder = folders[name.startsWith("run/") ? 1 : 0] ?? "";
      const text = typeof content === "string" ? content : JSON.stringify(content);
      writeFileSync(join(folder, name.replace(/^run\//, "")), text);
    }
    return await withCdiResolved(config(cdiDevices), folders, (message) => warnings.push(message));
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true });
    if (Object.values(files).includes("{ broken")) expect(warnings.length).toBe(1);
  }
}

const spec = (devices: object[], more: object = {}): object => ({
  cdiVersion: "0.6.0",
  kind: "vendor.test/gpu",
  devices,
  ...more,
});
const device = (name: string, containerEdits: object): object => ({ name, containerEdits });

describe("CDI for a runtime without it", () => {
  test("devices, mounts, environment and groups come to the container; a file's common part once", async () => {
    const yaml = `
cdiVersion: "0.7.0"
kind: vendor.test/gpu
containerEdits: { env: ["ALL=yes"], additionalGids: [44, 0] }
devices:
- name: "0"
  containerEdits:
    env: ["A=card"]
    deviceNodes: [{ path: /dev/gpu0 }, { path: /dev/ctl, hostPath: /dev/gpuctl, permissions: rw }]
    mounts: [{ hostPath: /lib/gpu.so, containerPath: /lib/gpu.so, options: [ro, nosuid, bind] }]
- name: "1"
  containerEdits: { deviceNodes: [{ path: /dev/gpu1 }] }
`;
    const given = await resolve(["vendor.test/gpu=0", "vendor.test/gpu=1"], { "gpu.yaml": yaml, "x.json": "{ broken" });
    expect(given.env).toEqual([
      { name: "A", value: "card" },
      { name: "B", value: "own" },
      { name: "ALL", value: "yes" },
    ]);
    expect(given.devices).toEqual([
      { hostPath: "/dev/gpu0", containerPath: "/dev/gpu0", permissions: "rwm" },
      { hostPath: "/dev/gpuctl", containerPath: "/dev/ctl", permissions: "rw" },
      { hostPath: "/dev/gpu1", containerPath: "/dev/gpu1", permissions: "rwm" },
    ]);
    expect(given.mounts.map(({ containerPath, readOnly }) => [containerPath, readOnly])).toEqual([
      ["/data", true],
      ["/lib/gpu.so", true],
    ]);
    expect(given.security.supplementalGroups).toEqual([7, 44]);
    expect(given.cdiDevices).toBeUndefined();
  });

  test("a file of the later folder counts; two of one folder that tell of the same device are none", async () => {
    const of = (value: string): object => spec([device("0", { env: [`A=${value}`] })]);
    const given = await resolve(["vendor.test/gpu=0"], { "a.json": of("etc"), "run/a.json": of("run") });
    expect(given.env[0]?.value).toBe("run");
    const twice = resolve(["vendor.test/gpu=0"], { "a.json": of("one"), "b.json": of("two") });
    await expect(twice).rejects.toThrow("unresolvable CDI devices vendor.test/gpu=0");
  });

  test("what is described nowhere is named, and so is what only a runtime with CDI can do", async () => {
    const unknown = resolve(["vendor.test/gpu=7", "nonsense"], { "a.json": spec([device("0", {})]) });
    await expect(unknown).rejects.toThrow("unresolvable CDI devices vendor.test/gpu=7, nonsense");
    const hooks = [{ hookName: "createContainer", path: "/bin/hook" }];
    const hooked = resolve(["vendor.test/gpu=0"], { "a.json": spec([device("0", { hooks })]) });
    await expect(hooked).rejects.toThrow("a createContainer hook (/bin/hook): this takes a runtime with CDI");
  });
});
