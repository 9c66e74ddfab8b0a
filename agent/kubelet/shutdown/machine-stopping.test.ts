import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMachineStopping } from "./machine-stopping.ts";

const path = process.env["PATH"];
let root: string;

beforeEach(() => {
  root = `${mkdtempSync(join(tmpdir(), "bramble-init-"))}/`;
  mkdirSync(join(root, "bin"));
  process.env["PATH"] = `${join(root, "bin")}:/usr/bin:/bin`;
});
afterEach(() => {
  process.env["PATH"] = path;
  rmSync(root, { recursive: true });
});

function program(name: string, output: string, status: number): void {
  writeFileSync(join(root, "bin", name), `#!/bin/sh\necho '${output}'\nexit ${status}\n`);
  chmodSync(join(root, "bin", name), 0o755);
}

test("systemd says that it is stopping; that something is broken does not mean so", async () => {
  mkdirSync(join(root, "run/systemd/system"), { recursive: true });
  program("systemctl", "stopping", 1);
  expect(await isMachineStopping(root)).toBe(true);
  program("systemctl", "degraded", 1);
  expect(await isMachineStopping(root)).toBe(false);
});

test("without systemd, OpenRC's mark or the run level tells", async () => {
  program("runlevel", "N 2", 0);
  expect(await isMachineStopping(root)).toBe(false);
  program("runlevel", "2 6", 0);
  expect(await isMachineStopping(root)).toBe(true);
  program("runlevel", "unknown", 1);
  expect(await isMachineStopping(root)).toBe(false);
  mkdirSync(join(root, "run/openrc"), { recursive: true });
  writeFileSync(join(root, "run/openrc/rc.stopping"), "");
  expect(await isMachineStopping(root)).toBe(true);
});
