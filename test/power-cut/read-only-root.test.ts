import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startMaster } from "./master-process.ts";

setDefaultTimeout(300_000);

// Not below /tmp: that is often a file system of its own, which stays writable.
const disk = mkdtempSync("/var/tmp/bramble-read-only-");
afterAll(() => rmSync(disk, { recursive: true, force: true }));

test("a master runs on a read-only root, with its data, kubeconfig and sockets elsewhere", async () => {
  // The disk is a mount of its own in the master's namespace; everything else there cannot be written.
  const script = `mount --make-rprivate / && mount --bind ${disk} ${disk} && mount -o remount,bind,ro / && exec "$@"`;
  const master = await startMaster(join(disk, "disk"), join(disk, "run"), [
    "unshare",
    "--mount",
    "sh",
    "-c",
    script,
    "sh",
  ]);
  const touched = Bun.spawnSync([
    "nsenter",
    `--mount=/proc/${master.process.pid}/ns/mnt`,
    "touch",
    "/var/tmp/bramble-x",
  ]);
  expect(touched.stderr.toString()).toContain("Read-only");
  expect(await master.client.raw({ method: "GET", path: "/readyz" })).toBe("ok");
  await master.stop("SIGTERM");
});
